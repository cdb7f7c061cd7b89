import { describe, expect, it } from "vitest";
import { findLines, joinLines, patchLines, readKind, readLine, unpack } from "./patch-lines";

/** A file that is read in pieces of `size` bytes, as large files are. */
function makeFile(text: string | Uint8Array<ArrayBuffer>, size = 3): Blob {
  const blob = new Blob([text]);
  const pieces = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, control) {
      for (let at = 0; at < chunk.length; at += size) control.enqueue(chunk.slice(at, at + size));
    },
  });
  blob.stream = () => new Blob([text]).stream().pipeThrough(pieces) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return blob;
}

const TEXT = "one\ntwo\r\n\nfour ü\nfive";

describe("findLines", () => {
  it("finds lines across pieces, without their line breaks, the last one too", async () => {
    for (const size of [1, 2, 3, 100]) {
      const file = makeFile(TEXT, size);
      const found = await findLines(file, [5, 2, 3, 4, 9, 2]);
      expect([...found.keys()]).toEqual([2, 3, 4, 5]);
      const texts = await Promise.all([...found.values()].map((range) => readLine(file, range)));
      expect(texts.map((each) => each.text)).toEqual(["two", "", "four ü", "five"]);
    }
  });

  it("finds nothing after the last line break", async () => {
    expect((await findLines(makeFile("one\n"), [1, 2])).size).toBe(1);
    expect((await findLines(makeFile(""), [1])).size).toBe(0);
  });
});

describe("patchLines", () => {
  it("replaces lines and makes omitted lines blank, so that the others keep their numbers", async () => {
    const file = makeFile(TEXT);
    const edits = new Map([
      [5, "FIVE"],
      [2, null],
      [1, "{\n  1\n}"],
    ]);
    const patched = patchLines(file, await findLines(file, edits.keys()), edits);
    expect(await patched.text()).toBe("{ 1 }\n\r\n\nfour ü\nFIVE");
  });

  it("changes nothing without edits", async () => {
    expect(await patchLines(makeFile(TEXT), new Map(), new Map()).text()).toBe(TEXT);
  });
});

it("joins the lines of an edit", () => expect(joinLines(" a\r\n  b\n")).toBe("a b"));

it("reads a line that is not UTF-8 as Windows-1252, and only the beginning of a long one", async () => {
  const file = new Blob([new Uint8Array([0x66, 0xfc, 0x72])]);
  expect(await readLine(file, { start: 0, end: 3 })).toEqual({ text: "für", isCut: false, isForeign: true });
  expect(await readLine(new Blob(["abcdef"]), { start: 1, end: 6 }, 2)).toMatchObject({ text: "bc", isCut: true });
});

describe("readKind", () => {
  it.each([
    ['{"messages": []}\n', "lines"],
    ['\n\n  {"messages": []}', "lines"],
    ['["not an object"]\n{"messages": []}', "lines"],
    ['[{"messages": []},\n {}]', "other"],
    ["prompt,response\na,b\n", "other"],
    ["PAR1\0{", "other"],
  ])("%j is %s", async (text, kind) => expect(await readKind(new Blob([text]))).toBe(kind));

  it("detects gzip, which can be decompressed", async () => {
    const packed = await new Response(
      new Blob(["one\ntwo"]).stream().pipeThrough(new CompressionStream("gzip")),
    ).blob();
    expect(await readKind(packed)).toBe("gzip");
    expect(await (await unpack(packed)).text()).toBe("one\ntwo");
  });
});
