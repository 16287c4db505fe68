/** What this browser keeps, and what server this is. */

import { useEffect } from "preact/hooks";
import { hasToken, own, serverAddress, setToken } from "../api/request";
import { useResource } from "../api/resource";
import { CopyBlock } from "../app/copy";
import { Failure, Skeleton } from "../app/states";
import { type Theme, theme } from "../app/theme";
import { tell } from "../app/toasts";

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export default function SettingsPage() {
  const about = useResource("server", (abort) => own.get<Record<string, unknown>>("server-info", {}, abort));
  useEffect(() => {
    document.title = "Settings · slipstream";
  }, []);
  return (
    <div class="page">
      <h1>Settings</h1>
      <section aria-labelledby="look">
        <h2 id="look">Look</h2>
        <div role="radiogroup" aria-labelledby="look">
          {THEMES.map(([value, name]) => (
            <label key={value} class="line-label">
              <input
                type="radio"
                name="theme"
                checked={theme.value === value}
                onChange={() => {
                  theme.value = value;
                }}
              />
              {name}
            </label>
          ))}
        </div>
      </section>
      <section aria-labelledby="token">
        <h2 id="token">Token</h2>
        {hasToken() ? (
          <p>
            This browser has a token for this server.{" "}
            <button
              type="button"
              onClick={() => {
                setToken("");
                tell("The token is forgotten.");
                location.reload();
              }}
            >
              Forget it
            </button>
          </p>
        ) : (
          <p class="quiet">This browser has no token. It is asked for if the server wants one.</p>
        )}
      </section>
      <section aria-labelledby="address">
        <h2 id="address">Address for scripts</h2>
        <CopyBlock label="Tracking address" text={serverAddress()} />
      </section>
      <section aria-labelledby="server">
        <h2 id="server">Server</h2>
        {about.error.value && <Failure error={about.error.value} retry={about.reload} />}
        {about.value.value ? (
          <table>
            <tbody>
              {Object.entries(about.value.value).map(([name, value]) => (
                <tr key={name}>
                  <th scope="row">{name.replaceAll("_", " ")}</th>
                  <td class="mono">{typeof value === "object" ? JSON.stringify(value) : String(value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          !about.error.value && <Skeleton lines={3} />
        )}
      </section>
    </div>
  );
}
