/** Where a run's model is registered from; the form comes when it is asked for. */

import { useMemo, useState } from "preact/hooks";
import { part } from "../app/part";
import { useShortcuts } from "../app/shortcuts";
import { visibleLine } from "../lib/visible";

const RegisterSheet = part(() => import("../models/register").then((module) => module.RegisterSheet));

interface Props {
  readonly run: string;
  readonly model: string;
  readonly name: string;
  /** Whether the key `m` opens it: of a run's models, the first one. */
  readonly hasKey: boolean;
}

export function Register({ run, model, name, hasKey }: Props) {
  const [isOpen, setOpen] = useState(false);
  const shortcuts = useMemo(
    () => (hasKey ? [{ keys: "m", what: "register the model", run: () => setOpen(true) }] : []),
    [hasKey],
  );
  useShortcuts(shortcuts);
  return (
    <>
      <button
        type="button"
        aria-label={`Register ${visibleLine(name)}`}
        title={hasKey ? "Register (m)" : undefined}
        onClick={() => setOpen(true)}
      >
        Register…
      </button>
      {isOpen && <RegisterSheet run={run} model={model} name={name} onClose={() => setOpen(false)} />}
    </>
  );
}
