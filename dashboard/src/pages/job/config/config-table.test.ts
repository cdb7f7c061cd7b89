import { expect, it } from "vitest";
import { formatConfigValue, groupConfig } from "./config-table";

const DOCS = [
  { name: "epochs", default: 4, description: "Passes." },
  { name: "lora_modules", default: ["q_proj", "v_proj"], description: "Layers." },
  { name: "max_steps", default: null, description: "" },
  { name: "dtype", default: "auto", description: "" },
];

it("puts what differs from the default first, with the default beside it", () => {
  const groups = groupConfig({ epochs: 2, lora_modules: ["q_proj", "v_proj"], max_steps: null, dtype: "auto" }, DOCS);
  expect(groups.map((group) => group.title)).toEqual(["Changed from the default", "Main", "LoRA", "Backend"]);
  expect(groups[0]?.rows).toEqual([{ name: "epochs", value: "2", instead: "4", description: "Passes." }]);
  expect(groups[2]?.rows[0]).toMatchObject({ value: "q_proj, v_proj", instead: null });
});

it("recognises equal lists, and shows fields that are no longer documented", () => {
  const groups = groupConfig({ lora_modules: ["q_proj"], gone: true }, DOCS);
  expect(groups[0]?.rows.map((row) => row.name)).toEqual(["lora_modules"]);
  expect(groups[1]).toMatchObject({ title: "More", rows: [{ name: "gone", value: "yes" }] });
});

it("describes values in words", () => {
  expect([null, false, 0.5, "auto", { a: 1 }].map(formatConfigValue)).toEqual([
    "not set",
    "no",
    "0.5",
    "auto",
    '{"a":1}',
  ]);
});
