"""Describes the news of a training process, as messages of the job's events."""

from emomodel.protocol.progress import Phase, PhaseName, Plan

PHASES: dict[PhaseName, str] = {
    "importing": "The training process is loading its libraries.",
    "loading_dataset": "The dataset is being read.",
    "loading_model": "The base model is being loaded.",
    "training": "The training starts.",
    "saving": "The adapter and the emotion projection are being saved.",
}


def describe_phase(phase: Phase) -> str:
    return PHASES[phase.name]


def describe_plan(plan: Plan) -> str:
    cut = f", {plan.truncated_count} of them cut to the maximum length" if plan.truncated_count else ""
    return (
        f"{plan.total_steps} steps on {plan.example_count} examples{cut}; {plan.target_token_count} tokens per epoch "
        f"count in the loss; {plan.trainable_parameter_count} parameters are trained on {plan.device}."
    )
