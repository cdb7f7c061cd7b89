// Shows a refused file: its problems line by line, and the tools to fix them.

import { useEffect, useState } from "preact/hooks";
import { ReportCounts } from "../../../datasets/report";
import { isOfFile, type Report } from "../../../datasets/report-types";
import { type Sending, startCorrected } from "../../../datasets/uploads";
import { countOf, formatCount } from "../../../lib/format";
import { Notice, Skeleton } from "../../../ui/feedback";
import { BadLineCard } from "./bad-line";
import { applyRepairs, type BadFile, type BadLine, explainUnrepairable, openBadFile, type Repair } from "./repair";
import { RepairTools } from "./repair-tools";
import "./refused-file.css";

const SHOWN_LINES = 20;

export function RefusedFile({ sending }: { sending: Sending }) {
  const report = sending.report as Report;
  const [badFile, setBadFile] = useState<BadFile | null>(null);
  const [obstacle, setObstacle] = useState<string | null>(null);
  const [repairs, setRepairs] = useState<ReadonlyMap<number, Repair>>(new Map());

  useEffect(() => {
    let isGone = false;
    setBadFile(null);
    setRepairs(new Map());
    const open = async () => {
      const reason = await explainUnrepairable(sending.file, report);
      if (!isGone) setObstacle(reason);
      if (reason !== null) return;
      const opened = await openBadFile(sending.file, report);
      if (!isGone) setBadFile(opened);
    };
    open().catch(() => {
      if (!isGone) setObstacle("The file can no longer be read, because it was changed or moved. Choose it again.");
    });
    return () => {
      isGone = true;
    };
  }, [sending.file, report]);

  function repair(line: number, how: Repair | null): void {
    setRepairs((known) => {
      const next = new Map(known);
      if (how) next.set(line, how);
      else next.delete(line);
      return next;
    });
  }

  const ofFile = report.problems.filter(isOfFile);
  return (
    <>
      <Notice kind="failed">
        <strong>
          {countOf(report.problem_count, "problem")}:{" "}
          {sending.isCheck ? "an upload would be refused" : "nothing was stored"}.
        </strong>
        <p>
          {report.problem_count > report.problems.length
            ? `The first ${report.problems.length} are listed; the next ones appear after these are fixed.`
            : "All of them are listed."}{" "}
          {countOf(report.example_count, "example")} of {countOf(report.line_count, "line")}{" "}
          {report.example_count === 1 ? "is" : "are"} valid.
        </p>
      </Notice>
      {report.example_count > 0 && <ReportCounts report={report} />}
      {ofFile.map((problem) => (
        <p key={`${problem.code}-${problem.line}`}>
          <strong>
            Line {problem.line}: {problem.message}.
          </strong>{" "}
          {problem.fix}
        </p>
      ))}
      {obstacle !== null && (
        <>
          <PlainProblems report={report} />
          <Notice kind="info">
            <p>{obstacle}</p>
          </Notice>
        </>
      )}
      {obstacle === null && !badFile && <Skeleton lines={4} />}
      {obstacle === null && badFile && (
        <Lines
          sending={sending}
          report={report}
          badFile={badFile}
          repairs={repairs}
          repair={repair}
          setRepairs={setRepairs}
        />
      )}
    </>
  );
}

interface LinesProps {
  sending: Sending;
  report: Report;
  badFile: BadFile;
  repairs: ReadonlyMap<number, Repair>;
  repair: (line: number, how: Repair | null) => void;
  setRepairs: (repairs: ReadonlyMap<number, Repair>) => void;
}

function Lines({ sending, report, badFile, repairs, repair, setRepairs }: LinesProps) {
  const [code, setCode] = useState<string | null>(null);
  const [shownCount, setShownCount] = useState(SHOWN_LINES);
  const shown = badFile.lines.filter((line) => code === null || line.problems.some((problem) => problem.code === code));
  const openCount = badFile.lines.filter((line) => !repairs.has(line.number)).length;
  const send = () => startCorrected(sending.id, applyRepairs(badFile, repairs), sending.repairedCount + repairs.size);
  return (
    <>
      <CodeFilter report={report} code={code} setCode={setCode} />
      <RepairTools
        sending={sending}
        report={report}
        badFile={badFile}
        repairs={repairs}
        setRepairs={setRepairs}
        openCount={openCount}
        send={send}
      />
      <ol class="datasets-bad-lines">
        {shown.slice(0, shownCount).map((line: BadLine) => (
          <BadLineCard
            key={line.number}
            line={line}
            repair={repairs.get(line.number) ?? null}
            onRepair={(how) => repair(line.number, how)}
            axes={sending.axes}
            mapping={sending.mapping}
          />
        ))}
      </ol>
      {shown.length > shownCount && (
        <div class="row">
          <button type="button" onClick={() => setShownCount(shownCount + 4 * SHOWN_LINES)}>
            Show more
          </button>
          <span class="soft">
            {shownCount} of {countOf(shown.length, "bad line")}
          </span>
        </div>
      )}
    </>
  );
}

function CodeFilter({
  report,
  code,
  setCode,
}: {
  report: Report;
  code: string | null;
  setCode: (code: string | null) => void;
}) {
  const counts = Object.entries(report.problem_counts).sort(([, a], [, b]) => b - a);
  if (counts.length < 2) return null;
  return (
    <fieldset class="datasets-codes">
      <legend class="hidden-text">Show only one kind of problem</legend>
      <button type="button" class="small" aria-pressed={code === null} onClick={() => setCode(null)}>
        All
      </button>
      {counts.map(([each, count]) => (
        <button key={each} type="button" class="small" aria-pressed={code === each} onClick={() => setCode(each)}>
          {nameCode(each)} <span class="soft number">{formatCount(count)}</span>
        </button>
      ))}
    </fieldset>
  );
}

/** The table of problems for a file that can't be fixed here. */
function PlainProblems({ report }: { report: Report }) {
  const problems = report.problems.filter((problem) => !isOfFile(problem));
  if (problems.length === 0) return null;
  return (
    <div class="table-box datasets-plain">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col" class="number">
              Line
            </th>
            <th scope="col">Place</th>
            <th scope="col">Problem and fix</th>
          </tr>
        </thead>
        <tbody>
          {problems.map((problem, index) => (
            <tr key={index}>
              <td class="number" data-label="Line">
                {problem.line}
              </td>
              <td data-label="Place">
                <code>{problem.field ?? ""}</code>
                {problem.column !== null && ` column ${problem.column}`}
              </td>
              <td class="datasets-what">
                <span>
                  <strong>{problem.message}</strong>. {problem.fix}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function nameCode(code: string): string {
  return code
    .replaceAll("_", " ")
    .replace(/\b(json|csv|utf8)\b/g, (word) => word.toUpperCase().replace("UTF8", "UTF-8"));
}
