import pytest

from emomodel.errors import Stopped
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import CHECKPOINT_REQUEST, SAVE_AND_STOP_REQUEST, STOP_REQUEST


@pytest.mark.parametrize(
    ("taken", "is_stopping", "is_dropped"),
    [
        ([], False, False),
        ([CHECKPOINT_REQUEST], False, False),
        (["dance", ""], False, False),
        ([SAVE_AND_STOP_REQUEST], True, False),
        ([STOP_REQUEST], True, True),
        ([SAVE_AND_STOP_REQUEST, STOP_REQUEST], True, True),
        ([STOP_REQUEST, SAVE_AND_STOP_REQUEST], True, True),
    ],
)
def test_requests_decide_whether_a_run_stops_and_whether_it_is_dropped(
    taken: list[str], is_stopping: bool, is_dropped: bool
) -> None:
    requests = RunRequests()
    for request in taken:
        requests.take(request)
    assert (requests.is_stopping, requests.is_dropped) == (is_stopping, is_dropped)
    if is_stopping:
        with pytest.raises(Stopped):
            requests.raise_if_stopping()
    else:
        requests.raise_if_stopping()


def test_a_checkpoint_is_asked_for_once() -> None:
    requests = RunRequests()
    assert not requests.take_checkpoint_request()
    requests.take(CHECKPOINT_REQUEST)
    requests.take(CHECKPOINT_REQUEST)
    assert requests.take_checkpoint_request()
    assert not requests.take_checkpoint_request()
