/** How to get at what the page shows from a program. */

import { serverAddress } from "../api/request";
import { CopyBlock } from "../app/copy";
import { Dialog } from "../app/dialog";
import type { RunFacts } from "./run_data";

export function ShowAsCode({ run, onClose }: { run: RunFacts; onClose: () => void }) {
  const address = serverAddress();
  const python = `import slipstream

slipstream.set_tracking_uri("${address}")
run = slipstream.get_run("${run.id}")
print(run.data.params, run.data.metrics, run.data.tags)

history = slipstream.MlflowClient().get_metric_history("${run.id}", "${firstMetric(run)}")
files = slipstream.artifacts.download_artifacts(run_id="${run.id}")`;
  const curl = `curl '${address}/api/2.0/mlflow/runs/get?run_id=${run.id}'
curl '${address}/api/slipstream/v1/metrics/histories?run_ids=${run.id}&format=csv'`;
  const shell = `slipstream runs describe --run-id ${run.id}
slipstream runs history --run-id ${run.id}
slipstream artifacts download --run-id ${run.id} --dst-path .`;
  return (
    <Dialog kind="wide" title="Show as code" onClose={onClose}>
      <h3>Python</h3>
      <CopyBlock label="Python" text={python} />
      <h3>curl</h3>
      <CopyBlock label="curl" text={curl} />
      <h3>Terminal</h3>
      <CopyBlock label="Terminal" text={shell} />
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </Dialog>
  );
}

/** A name that needs no quoting in Python. */
function firstMetric(run: RunFacts): string {
  return run.metrics.find((metric) => /^[\w/. -]+$/.test(metric.key))?.key ?? "loss";
}
