/** A run's params. */

import { useMemo } from "preact/hooks";
import type { KeyValue } from "../api/schema";
import type { GridColumn } from "../grid/grid";
import { visibleLine } from "../lib/visible";
import { roomForTable, ValuesTable } from "./values_table";

export function ParamsTable({ params }: { params: readonly KeyValue[] }) {
  const columns = useMemo((): GridColumn<KeyValue>[] => {
    const name = Math.max(130, roomForTable() * 0.36);
    return [
      {
        key: "key",
        title: "Param",
        isNumber: false,
        width: name,
        pinned: true,
        cell: (param) => <span title={visibleLine(param.key)}>{visibleLine(param.key)}</span>,
      },
      {
        key: "value",
        title: "Value",
        isNumber: false,
        width: roomForTable() - name,
        pinned: false,
        cell: (param) => (
          <span title={visibleLine(param.value ?? "")}>{visibleLine((param.value ?? "").slice(0, 500))}</span>
        ),
      },
    ];
  }, []);
  return (
    <ValuesTable
      id="params"
      title="Params"
      all={params}
      columns={columns}
      keyOf={(param) => param.key}
      textOf={(param) => `${param.key} ${param.value ?? ""}`}
      valueOf={(param) => param.value ?? ""}
      lineOf={(param) => `${param.key}\t${param.value ?? ""}`}
      empty={
        <>
          None. <code>slipstream.log_param("lr", 0.1)</code> logs one.
        </>
      }
    />
  );
}
