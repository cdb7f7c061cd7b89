"""The dashboard's lock: exact versions and hashes, no addresses."""

from scripts.lock_dashboard import clean


def test_addresses_go_and_the_rest_stays() -> None:
    lock = {
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "dashboard"},
            "node_modules/preact": {
                "version": "11.2.0",
                "resolved": "https://registry.example/preact.tgz",
                "integrity": "sha512-abc",
                "funding": {"url": "https://example.org"},
            },
        },
    }
    assert clean(lock) == {
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "dashboard"},
            "node_modules/preact": {"version": "11.2.0", "integrity": "sha512-abc"},
        },
    }
