/** Asking a served version from the page: which scoring server, then a form or a chat. */

import { useMemo, useState } from "preact/hooks";
import type { Resource } from "../api/resource";
import { CopyBlock } from "../app/copy";
import { Failure, Skeleton } from "../app/states";
import type { ScoringServer } from "../serving/status";
import { ChatBox } from "./chat_box";
import { serveCommands } from "./code";
import type { ModelCard } from "./messages";
import { formOf } from "./signature";
import { TryForm } from "./try_form";

const KEPT = "slipstream-scoring-server";

interface Props {
  readonly name: string;
  readonly version: string;
  readonly card: ModelCard;
  readonly servers: Resource<readonly ScoringServer[]>;
}

export function TryIt({ name, version, card, servers }: Props) {
  const form = useMemo(() => formOf(card), [card]);
  const found = servers.value.value;
  const [choice, setChoice] = useState("");
  /** The served name that was chosen where none is the model's own. */
  const [other, setOther] = useState("");
  if (servers.error.value && !found)
    return <Failure error={servers.error.value} retry={() => void servers.reload()} />;
  if (!found) return <Skeleton lines={3} />;
  if (found.length === 0) return <NoServers name={name} version={version} />;
  // what is chosen here; else the one that was used last, if it has the model; else one that has this version, or another
  const hasVersion = (server: ScoringServer) =>
    server.models.some((model) => model.name === name && model.version === version);
  const hasModel = (server: ScoringServer) => server.models.some((model) => model.name === name);
  const server =
    found.find((each) => each.name === choice) ??
    found.find((each) => each.name === localStorage.getItem(KEPT) && hasModel(each)) ??
    found.find(hasVersion) ??
    found.find(hasModel) ??
    found[0];
  if (!server) return null;
  const served =
    server.models.find((model) => model.name === name) ?? server.models.find((model) => model.name === other);
  const isUnknown = server.models.length > 0 && !server.models.some((model) => model.name === name);
  return (
    <>
      <div class="head-line">
        <label class="line-label">
          Scoring server
          <select
            value={server.name}
            onChange={(event) => {
              setChoice(event.currentTarget.value);
              localStorage.setItem(KEPT, event.currentTarget.value);
            }}
          >
            {found.map((each) => (
              <option key={each.name} value={each.name}>
                {each.name}
                {hasVersion(each) ? ` (v${version})` : ""}
              </option>
            ))}
          </select>
        </label>
        {!server.healthy ? (
          <span class="worse">{server.error ?? "It is not well."}</span>
        ) : isUnknown ? (
          <label class="line-label">
            <span class="worse">It serves nothing named {name}. Ask</span>
            <select value={other} onChange={(event) => setOther(event.currentTarget.value)}>
              <option value="">nothing</option>
              {server.models.map((each) => (
                <option key={each.name} value={each.name}>
                  {each.name}
                </option>
              ))}
            </select>
          </label>
        ) : served?.version && served.version !== version ? (
          <span class="warning">
            It serves version {served.version} of {name}, not this one.
          </span>
        ) : (
          <span class="quiet">{server.url}</span>
        )}
      </div>
      {isUnknown && !served ? null : form.layout === "chat" ? (
        <ChatBox key={server.name} server={server.name} model={served?.name} params={form.params} />
      ) : (
        <TryForm key={server.name} server={server} model={served?.name} form={form} example={card.example} />
      )}
    </>
  );
}

function NoServers({ name, version }: { name: string; version: string }) {
  return (
    <>
      <p>No scoring server is known here. Serve the model, and tell this server where when you start it:</p>
      <CopyBlock label="Serve the model, and tell this server" text={serveCommands(name, version)} />
    </>
  );
}
