/** The commands that take one back to the code of a run, from what was captured. All that was logged is quoted. */

import { shellQuote } from "../lib/shell_words";
import { visibleLine } from "../lib/visible";
import type { RunFacts } from "./run_data";

export interface Captured {
  readonly hasPatch: boolean;
  readonly hasUntracked: boolean;
  readonly hasLock: boolean;
}

const quoted = (text: string) => shellQuote(visibleLine(text));

/** `undefined` where nothing of the code's origin is known. */
export function reproduceCommands(run: RunFacts, captured: Captured): string | undefined {
  const tag = (name: string) => run.tags.get(name);
  const source = tag("mlflow.source.name") ?? "";
  const commit = tag("mlflow.source.git.commit");
  const entry = tag("mlflow.project.entryPoint");
  if (tag("mlflow.source.type") === "PROJECT" || entry) {
    const words = ["slipstream", "run", quoted(source)];
    if (commit) words.push("--version", quoted(commit));
    if (entry && entry !== "main") words.push("--entry-point", quoted(entry));
    for (const { key, value = "" } of run.params) words.push("-P", quoted(`${key}=${value}`));
    return words.join(" ");
  }
  const lines: string[] = [];
  const remote = tag("mlflow.source.git.repoURL");
  if (commit) {
    if (remote) lines.push(`git clone -- ${quoted(remote)} code`, "cd code");
    lines.push(`git checkout ${quoted(commit)}`);
  }
  if (captured.hasPatch || captured.hasUntracked || captured.hasLock)
    lines.push(`slipstream artifacts download --run-id ${run.id} --artifact-path context --dst-path ..`);
  if (captured.hasPatch) lines.push("git apply ../context/diff.patch");
  if (captured.hasUntracked) lines.push("python -m zipfile -e ../context/untracked.zip .");
  if (captured.hasLock) lines.push("uv venv && uv pip sync ../context/requirements.lock");
  const command = tag("slipstream.command");
  if (command) lines.push(visibleLine(command));
  else if (source && tag("mlflow.source.type") !== "NOTEBOOK" && lines.length)
    lines.push(`python ${quoted(source)}`);
  return lines.length ? lines.join("\n") : undefined;
}
