/** The run that is looked at now: lit wherever it is shown, in tables, lines, parallel coordinates. */

import { signal } from "@preact/signals";

export const litRun = signal<string | undefined>(undefined);
