import { describe, expect, it } from "vitest";
import { findGroup, humanize, type OpenApi, readConfigFields, searchFields } from "./config-fields";

const DOCUMENT: OpenApi = {
  components: {
    schemas: {
      TrainConfig: {
        properties: {
          lora_dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0, description: "Dropout." },
          batching: { type: "string", enum: ["auto", "packed"], default: "auto", description: "`packed` packs." },
          max_steps: { anyOf: [{ type: "integer", minimum: 1, maximum: 10 }, { type: "null" }] },
          load_in_4bit: { anyOf: [{ type: "boolean" }, { type: "null" }] },
          lora_modules: { type: "array", items: { type: "string", enum: ["q_proj", "v_proj"] }, default: ["q_proj"] },
          epochs: { type: "number", exclusiveMinimum: 0, maximum: 1000, default: 4 },
          invented_yesterday: { type: "boolean", default: false, description: "Something new." },
          of_no_form: { type: "object" },
        },
      },
    },
  },
};

describe("readConfigFields", () => {
  const fields = readConfigFields(DOCUMENT);
  const find = (name: string) => fields.find((field) => field.name === name);

  it("puts the main fields first, in the order of the form", () => {
    expect(fields.map((field) => field.name)).toEqual([
      "epochs",
      "max_steps",
      "load_in_4bit",
      "lora_dropout",
      "batching",
      "lora_modules",
      "invented_yesterday",
    ]);
  });
  it("reads kind, bounds, default and whether a field may be null", () => {
    expect(find("max_steps")).toMatchObject({
      kind: "integer",
      isNullable: true,
      minimum: 1,
      maximum: 10,
      default: null,
    });
    expect(find("load_in_4bit")).toMatchObject({ kind: "boolean", isNullable: true, default: null });
    expect(find("lora_dropout")).toMatchObject({ kind: "number", exclusiveMaximum: 1, default: 0, isNullable: false });
    expect(find("batching")).toMatchObject({ kind: "enum", options: ["auto", "packed"], default: "auto" });
    expect(find("lora_modules")).toMatchObject({ kind: "list", options: ["q_proj", "v_proj"], default: ["q_proj"] });
  });
  it("shows a hyperparameter that it doesn't know", () => {
    expect(find("invented_yesterday")).toMatchObject({
      label: "Invented yesterday",
      description: "Something new.",
      group: "More",
    });
  });
  it("leaves out kinds that a form can't show, and accepts a document without the schema", () => {
    expect(find("of_no_form")).toBeUndefined();
    expect(readConfigFields({ components: { schemas: {} } })).toEqual([]);
  });
  it("searches by name, label and description", () => {
    expect(searchFields(fields, "LORA").map((field) => field.name)).toEqual(["lora_dropout", "lora_modules"]);
    expect(searchFields(fields, "packs").map((field) => field.name)).toEqual(["batching"]);
    expect(searchFields(fields, " ")).toHaveLength(fields.length);
  });
});

it("groups by name, and by pattern if the name is new", () => {
  expect(findGroup("epochs")).toBe("Main");
  expect(findGroup("seed")).toBe("Optimiser");
  expect(findGroup("emotion_span")).toBe("Emotion");
  expect(findGroup("lora_bias")).toBe("LoRA");
  expect(findGroup("checkpoint_best")).toBe("Checkpoints and evaluation");
});

it("makes labels of names", () => {
  expect(humanize("lora_dropout")).toBe("LoRA dropout");
  expect(humanize("max_grad_norm")).toBe("Max grad norm");
});
