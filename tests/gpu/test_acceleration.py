"""Acceleration on CUDA changes nothing but the speed: packed, compiled and recorded passes, also after a stop."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.batches.order import Size
from emomodel.batches.packing import PackingCollator, Shape
from emomodel.config import LINEAR_MODULES
from emomodel.model.packed_attention import attend_within_examples
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.protocol.progress import EXIT_STOPPED, SAVE_AND_STOP_REQUEST, Checkpoint, Metric, Result, parse_progress
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.acceleration import accelerated
from emomodel.training.cuda_graph import RecordedPass, RecordedUpdate
from tests.gpu.training import TEST_SECONDS, TIMEOUT_SECONDS, make_environment
from tests.model.packed_samples import AXES, LENGTHS, make_samples
from tests.model.tiny_training import REPOSITORY, make_request

# PyTorch warns while it compiles, and fails if a warning is turned into an error.
pytestmark = [pytest.mark.gpu, pytest.mark.timeout(TEST_SECONDS), pytest.mark.filterwarnings("default")]

ITEMS = sum(length - length // 2 for length in LENGTHS)
SHAPE = Shape.of(Size(example_count=6, token_count=180, target_count=100), longest_example=40)


def make_model(base: Path, dtype: torch.dtype) -> tuple[PeftModel, EmotionalGemmaUnslothWrapper]:
    """The tiny model on the GPU, with adapters that have an effect."""
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, device_map={"": 0})
    torch.manual_seed(1)
    projection = make_projection(AXES, 64, "default").to("cuda")
    wrapper = EmotionalGemmaUnslothWrapper(model, projection, scale=1.0, centered=True)
    peft_model = get_peft_model(wrapper, LoraConfig(r=8, target_modules=list(LINEAR_MODULES), init_lora_weights=False))
    projection.requires_grad_(True)
    return peft_model.train(), wrapper


def to_cuda(batch: dict[str, Any]) -> dict[str, Any]:
    batch["num_items_in_batch"] = torch.tensor(ITEMS)
    return {name: value.cuda() if isinstance(value, Tensor) else value for name, value in batch.items()}


def pack(seed: int) -> dict[str, Any]:
    return to_cuda(PackingCollator(0, AXES, shape=SHAPE, marks_pieces=True)(make_samples(seed)))


def list_trained(model: PeftModel) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def learn(model: PeftModel, batches: list[dict[str, Any]]) -> tuple[float, Tensor]:
    """The summed loss, and its gradient with respect to all trained parameters, as one vector."""
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=model.dtype == torch.bfloat16):
        loss = torch.stack([model(**batch).loss for batch in batches]).sum()
    gradients = torch.autograd.grad(loss, list_trained(model))
    return loss.item(), torch.cat([gradient.flatten() for gradient in gradients])


def one_by_one(base: Path, dtype: torch.dtype) -> tuple[float, Tensor]:
    collate = DataCollatorForEmotionalGemma(0, AXES)
    return learn(make_model(base, dtype)[0], [to_cuda(collate([sample])) for sample in make_samples(5)])


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.fixture
def fast(tiny_gemma: Path) -> Iterator[PeftModel]:
    model, wrapper = make_model(tiny_gemma, torch.bfloat16)
    with ExitStack() as stack:
        stack.enter_context(accelerated(wrapper, model))
        yield model


def test_accelerated_packed_samples_learn_as_one_at_a_time(tiny_gemma: Path, fast: PeftModel) -> None:
    exact_loss, exact = one_by_one(tiny_gemma, torch.float32)
    plain_loss, plain = one_by_one(tiny_gemma, torch.bfloat16)
    loss, gradient = learn(fast, [pack(5)])
    # Both ways differ a little from float32, since they compute in 16 bits; the accelerated one differs no more.
    assert abs(loss - exact_loss) <= 2 * abs(plain_loss - exact_loss) + 0.01 * exact_loss
    assert distance(gradient, exact) <= 1.5 * distance(plain, exact) + 0.01


@pytest.mark.parametrize("bits", ["4", "16"])
@pytest.mark.parametrize("backend", ["transformers", "unsloth"])
def test_packed_samples_learn_as_alone_with_each_backend(tiny_gemma: Path, backend: str, bits: str) -> None:
    argv = [sys.executable, "-m", "tests.gpu.packed_and_alone", str(tiny_gemma), backend, bits]
    done = subprocess.run(
        argv,
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        env=make_environment(),
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    print(done.stdout.splitlines()[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["loaded_by"] == backend
    assert found["packed"] == pytest.approx(found["alone"], rel=0.01)
    # What 16 bits leave between two ways of computing the same.
    assert found["gradient_distance"] < 0.05


@pytest.mark.parametrize(("size", "window"), [(64, None), (64, 16), (256, 16), (512, None)])
def test_attention_stays_within_examples(size: int, window: int | None) -> None:
    heads, groups, lengths = 4, 2, [40, 9, 16, 23]
    starts = torch.tensor([0, *lengths, 0], dtype=torch.int32, device="cuda").cumsum(0, dtype=torch.int32)
    shapes = [(1, count, sum(lengths), size) for count in (heads, groups, groups)]
    torch.manual_seed(0)
    inputs = [torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for shape in shapes]
    output, _ = attend_within_examples(
        nn.Identity(),
        inputs[0],
        inputs[1],
        inputs[2],
        None,
        scaling=0.1,
        sliding_window=window,
        cu_seq_lens_q=starts,
        max_length_q=40,
    )
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    parts = []
    for start, length in zip(starts.tolist(), lengths, strict=False):
        query, key, value = (tensor[:, :, start : start + length] for tensor in exact)
        seen = torch.ones(length, length, dtype=torch.bool, device="cuda").tril()
        if window is not None:
            seen &= ~seen.tril(-window)
        parts.append(nn.functional.scaled_dot_product_attention(query, key, value, seen, scale=0.1, enable_gqa=True))
    expected = torch.cat(parts, dim=2).transpose(1, 2)
    assert distance(output.double(), expected) < 0.01
    weights = torch.randn_like(expected)
    ours = torch.autograd.grad(output, inputs, weights.to(output.dtype))
    theirs = torch.autograd.grad(expected, exact, weights)
    for own, right in zip(ours, theirs, strict=True):
        assert distance(own.double(), right) < 0.02


def record(model: PeftModel, seed: int) -> RecordedPass:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        return RecordedPass(model, pack(seed))


def test_a_recorded_pass_gives_what_the_same_pass_gives_each_time(fast: PeftModel) -> None:
    recorded = record(fast, 5)
    for seed in (6, 5, 7):
        expected = learn(fast, [pack(seed)])
        loss = recorded(pack(seed))
        assert loss.item() == pytest.approx(expected[0], rel=1e-3)
        assert distance(join(recorded.gradients), expected[1]) < 0.02


def make_optimizer(model: PeftModel) -> torch.optim.AdamW:
    return torch.optim.AdamW(list_trained(model), lr=1e-3, weight_decay=0.01, fused=True)


def join(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@pytest.mark.parametrize("pass_count", [1, 2])
def test_recorded_updates_equal_updates_of_the_same_gradients(fast: PeftModel, pass_count: int) -> None:
    before = [parameter.detach().clone() for parameter in list_trained(fast)]
    optimizer = make_optimizer(fast)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        recorded = RecordedUpdate(fast, optimizer, pack(5), pass_count=pass_count, max_grad_norm=0.5)
    assert torch.equal(join(list_trained(fast)), join(before))
    copies = [nn.Parameter(parameter.clone()) for parameter in before]
    plain = torch.optim.AdamW(copies, lr=1e-3, weight_decay=0.01)
    for step in range(1, 4):
        gradients = [torch.zeros_like(parameter) for parameter in before]
        for seed in range(pass_count):
            recorded.run_pass(pack(10 * step + seed))
            torch._foreach_add_(gradients, recorded._pass.gradients)
        # The rate changes from step to step, as a schedule changes it.
        optimizer.param_groups[0]["lr"] = plain.param_groups[0]["lr"] = 1e-3 / step
        norm = recorded.step()
        for parameter, gradient in zip(copies, gradients, strict=True):
            parameter.grad = gradient
        assert norm.item() == pytest.approx(nn.utils.clip_grad_norm_(copies, 0.5).item(), rel=1e-5)
        plain.step()
        assert distance(join(list_trained(fast)) - join(before), join(copies) - join(before)) < 1e-4
    assert all(parameter.grad is None for parameter in list_trained(fast))
    assert optimizer.param_groups[0]["lr"] == 1e-3 / 3
    assert {float(state["step"]) for state in optimizer.state.values()} == {3.0}


def test_a_recorded_update_resumes_from_the_state_of_an_optimizer(fast: PeftModel) -> None:
    optimizer = make_optimizer(fast)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        first = RecordedUpdate(fast, optimizer, pack(5), pass_count=1, max_grad_norm=1.0)
    first.run_pass(pack(6))
    first.step()
    saved = [state["exp_avg"].clone() for state in optimizer.state.values()]
    second_optimizer = make_optimizer(fast)
    second_optimizer.load_state_dict(optimizer.state_dict())
    with torch.autocast("cuda", dtype=torch.bfloat16):
        second = RecordedUpdate(fast, second_optimizer, pack(5), pass_count=1, max_grad_norm=1.0)
    assert torch.equal(join(saved), join(state["exp_avg"] for state in second_optimizer.state.values()))
    second.run_pass(pack(7))
    second.step()
    assert {float(state["step"]) for state in second_optimizer.state.values()} == {2.0}


def test_a_recording_draws_no_random_number_of_the_training(fast: PeftModel) -> None:
    before = torch.cuda.get_rng_state()
    recorded = record(fast, 5)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    recorded(pack(6))


def start(request: TrainRequest, *flags: str) -> subprocess.Popen[str]:
    path = request.output_dir.with_name("request.json")
    path.write_text(request.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-m", "emomodel", "train", str(path), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=make_environment(),
    )


def finish(request: TrainRequest) -> list[float]:
    output, log = start(request).communicate(timeout=TIMEOUT_SECONDS)
    assert isinstance(parse_progress(output.splitlines()[-1]), Result), output + log[-4000:]
    lines = (request.output_dir / "metrics.jsonl").read_text().splitlines()
    return [Metric.model_validate_json(line).loss for line in lines]


def test_a_killed_training_resumes_from_its_checkpoint(tmp_path: Path, gemma_270m_shape: Path) -> None:
    config: dict[str, Any] = {"dtype": "auto", "max_steps": 16, "checkpoint_every": 5, "lora_learning_rate": 1e-3}
    whole = finish(make_request(tmp_path / "whole", gemma_270m_shape, **config))
    request = make_request(tmp_path / "parts", gemma_270m_shape, **config)
    request = request.model_copy(update={"checkpoint_dir": tmp_path / "checkpoints"})
    process = start(request)
    assert process.stdout is not None
    for line in process.stdout:
        progress = parse_progress(line)
        if isinstance(progress, Metric) and progress.step == 12:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert (tmp_path / "checkpoints" / "checkpoint-10").is_dir()
    parts = finish(request)
    print([round(abs(ours - theirs) / theirs, 4) for ours, theirs in zip(parts, whole, strict=True)])
    # Up to the noise of 16 bits, by which two runs of one training differ too.
    assert parts == pytest.approx(whole, rel=0.03)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_training_that_saves_and_stops_resumes(tmp_path: Path, gemma_270m_shape: Path, dropout: float) -> None:
    config: dict[str, Any] = {
        "dtype": "auto",
        "max_steps": 16,
        "checkpoint_every": 100,
        "log_every": 2,
        "lora_learning_rate": 1e-3,
        "lora_dropout": dropout,
        "gradient_accumulation": 2,
    }
    whole = finish(make_request(tmp_path / "whole", gemma_270m_shape, **config))
    request = make_request(tmp_path / "parts", gemma_270m_shape, **config)
    request = request.model_copy(update={"checkpoint_dir": tmp_path / "checkpoints"})
    process = start(request, "--supervised")
    assert process.stdout is not None
    assert process.stdin is not None
    saved: list[Checkpoint] = []
    for line in process.stdout:
        progress = parse_progress(line)
        if isinstance(progress, Metric) and progress.step == 6:
            process.stdin.write(f"{SAVE_AND_STOP_REQUEST}\n")
            process.stdin.flush()
        if isinstance(progress, Checkpoint):
            saved.append(progress)
    process.communicate()
    assert process.returncode == EXIT_STOPPED
    # If the request came in time, this is in the middle of a log window.
    assert [checkpoint.reason for checkpoint in saved] == ["stop"]
    assert 6 <= saved[0].step < 16
    parts = finish(request)
    print(saved[0].step, [round(abs(ours - theirs) / theirs, 4) for ours, theirs in zip(parts, whole, strict=True)])
    assert parts == pytest.approx(whole, rel=0.03)
