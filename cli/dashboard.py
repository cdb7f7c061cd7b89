"""`emotune dashboard`: a link that logs a browser in, once."""

import webbrowser

from cli.client import Client
from cli.credentials import Credentials, get_credentials
from jobs.settings import load_settings


def make_login_link(credentials: Credentials) -> str:
    """Raises ApiError."""
    with Client(credentials) as client:
        return credentials.url + str(client.create_login_code()["path"])


def show_dashboard(*, open_it: bool) -> None:
    """Print a fresh link to the API that the command line talks to. Raises CredentialsMissing and ApiError."""
    link = make_login_link(get_credentials(load_settings().data_dir))
    print(link)
    if open_it:
        # Where there is no browser, the link stands above.
        webbrowser.open(link)
