import type { PageProps } from "../app/pages";
import { part } from "../app/part";

const RunCharts = part(() => import("../charts/run_charts").then((module) => module.RunCharts));

export default function Page({ at }: PageProps) {
  return (
    <div>
      <h1>{at.run}</h1>
      <RunCharts runId={at.run ?? ""} />
    </div>
  );
}
