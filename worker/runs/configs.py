"""Whether this release can read a job's config, which another release may have written."""

from pydantic import ValidationError

from emomodel.config import TrainConfig
from jobs.models import Job
from jobs.release import get_release
from worker.runs.outcome import Failed, Interrupted


def judge_config(job: Job) -> Failed | Interrupted | None:
    """Return how the run ends before it has begun, or None where the config can be read.

    Unknown fields come from a newer release: the job waits for a worker of that release. Any other error is the same
    for all releases, so the job fails.
    """
    try:
        TrainConfig.model_validate(job.config)
    except ValidationError as error:
        found = error.errors(include_url=False)
        unknown = sorted(str(each["loc"][0]) for each in found if each["type"] == "extra_forbidden")
        if unknown:
            return Interrupted(
                f"The config of the job {job.id} is of a newer release than this worker ({get_release()}), which "
                f"doesn't know {', '.join(unknown)}. The worker takes no job until it is updated and restarted"
            )
        details = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
        return Failed("config_invalid", f"This release ({get_release()}) can't use the job's config: {details}.")
    return None
