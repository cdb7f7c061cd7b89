import { expect, it } from "vitest";
import type { JobCreate } from "../../api/types";
import { makeCurl, makeSubmit, quote } from "./job-commands";

const BODY = {
  dataset_id: "ds_1",
  base_model: "gemma",
  name: "it's warm",
  priority: -5,
  config: { epochs: 2, lora_modules: ["q_proj"], schedule: "cosine", max_steps: null },
} as unknown as JobCreate;

it("quotes for a shell", () => {
  expect(quote("ds_1")).toBe("ds_1");
  expect(quote("it's $HOME")).toBe("'it'\\''s $HOME'");
  expect(quote("")).toBe("''");
});

it("makes the exact request for curl, the key from the environment", () => {
  expect(makeCurl("http://box:8000", BODY, "k-1")).toBe(
    [
      "curl http://box:8000/jobs",
      '-H "Authorization: Bearer $EMOTUNE_API_KEY"',
      "-H 'Content-Type: application/json'",
      "-H 'Idempotency-Key: k-1'",
      `-d '${JSON.stringify(BODY).replace("'", "'\\''")}'`,
    ].join(" \\\n  "),
  );
});

it("makes the command, and flags whose values begin with a dash", () => {
  expect(makeSubmit("http://box:8000", BODY).split(" \\\n  ")).toEqual([
    "EMOTUNE_URL=http://box:8000 emotune submit ds_1",
    "--model=gemma",
    "--set=epochs=2",
    `--set='lora_modules=["q_proj"]'`,
    "--set=schedule=cosine",
    "--set=max_steps=null",
    "--name='it'\\''s warm'",
    "--priority=-5",
  ]);
});
