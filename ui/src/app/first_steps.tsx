/** What to do on a server that has nothing to show yet. */

import { hasToken, serverAddress } from "../api/request";
import { CopyBlock } from "./copy";

export function FirstSteps({ experiment = "first" }: { experiment?: string | undefined }) {
  const address = serverAddress();
  const script = `import slipstream

slipstream.set_tracking_uri("${address}")
slipstream.set_experiment(${JSON.stringify(experiment)})
with slipstream.start_run():
    slipstream.log_param("lr", 0.01)
    for step in range(100):
        slipstream.log_metric("loss", 1 / (step + 1), step=step)
`;
  return (
    <>
      {hasToken() && (
        <>
          <p>This server asks for its token. Give it to your shell first, which asks for it:</p>
          <CopyBlock
            label="The token, for this shell"
            text="read -rs MLFLOW_TRACKING_TOKEN && export MLFLOW_TRACKING_TOKEN"
          />
        </>
      )}
      <p>Log something from Python. Scripts that use mlflow need only the address:</p>
      <CopyBlock label="A first run in Python" text={script} />
      <CopyBlock
        label="The address for scripts that use mlflow"
        text={`export MLFLOW_TRACKING_URI=${address}`}
      />
    </>
  );
}
