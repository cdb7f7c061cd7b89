"""`emotune dashboard`: a link that logs a browser in, once."""

import webbrowser

from cli.client import Client
from cli.credentials import Credentials, get_credentials
from jobs.settings import load_settings


def make_login_link(credentials: Credentials) -> str:
    """Return a new one-time login link. Raises ApiError."""
    with Client(credentials) as client:
        return credentials.url + str(client.create_login_code()["path"])


def show_dashboard(*, open_it: bool) -> None:
    """Print a new login link for the API that the command line uses. Raises CredentialsMissing and ApiError."""
    link = make_login_link(get_credentials(load_settings().data_dir))
    print(link)
    if open_it:
        # Without a browser the printed link remains.
        webbrowser.open(link)
