import { expect, test } from "vitest";
import { progressOf, roughly, timeLeft } from "../src/run/progress";

const MINUTE = 60_000;

function run(
  tags: Record<string, string>,
  params: Record<string, string>,
  metrics: [string, number, number][],
) {
  return {
    tags: new Map(Object.entries(tags)),
    params: Object.entries(params).map(([key, value]) => ({ key, value })),
    metrics: metrics.map(([key, step, last]) => ({ key, step, last, time: 10 * MINUTE })),
  };
}

test("a tag, a param of steps, then one of epochs says how far a run goes", () => {
  const metrics: [string, number, number][] = [
    ["loss", 300, 0.5],
    ["system/cpu", 9000, 1],
    ["epoch", 300, 2.5],
  ];
  expect(progressOf(run({}, { max_steps: "1000", epochs: "10" }, metrics))).toMatchObject({
    what: "step",
    done: 300,
    total: 1000,
    by: "max_steps",
  });
  expect(progressOf(run({ "slipstream.total_steps": "600" }, { max_steps: "1000" }, metrics))?.total).toBe(
    600,
  );
  expect(progressOf(run({}, { max_steps: "-1", num_train_epochs: "10" }, metrics))).toMatchObject({
    what: "epoch",
    done: 2.5,
    total: 10,
  });
});

test("what cannot be told is not told", () => {
  expect(progressOf(run({}, {}, [["loss", 3, 1]]))).toBeUndefined();
  expect(progressOf(run({}, { epochs: "10" }, [["loss", 3, 1]]))).toBeUndefined();
  expect(progressOf(run({}, { max_steps: "10" }, []))).toBeUndefined();
  expect(progressOf(run({}, { max_steps: "10" }, [["loss", 11, 1]]))).toBeUndefined();
  expect(progressOf(run({}, { max_steps: "many" }, [["loss", 1, 1]]))).toBeUndefined();
});

test("the time that is left is that of the rest at the speed so far", () => {
  const progress = { what: "step", done: 250, total: 1000, at: 10 * MINUTE, by: "max_steps" };
  expect(timeLeft(progress, 0, 10 * MINUTE)).toBe(30 * MINUTE);
  expect(timeLeft(progress, 0, 15 * MINUTE)).toBe(25 * MINUTE);
  expect(timeLeft(progress, 0, 90 * MINUTE)).toBeUndefined();
  expect(timeLeft({ ...progress, done: 1000 }, 0, 10 * MINUTE)).toBeUndefined();
  expect(timeLeft(progress, undefined, 0)).toBeUndefined();
});

test("what is left is not told more exactly than one knows", () => {
  expect(roughly(42_000)).toBe("40 s");
  expect(roughly(100)).toBe("1 s");
  expect(roughly(9.9 * MINUTE)).toBe("10 min");
  expect(roughly(200 * MINUTE)).toBe("3.5 h");
  expect(roughly(2000 * MINUTE)).toBe("33 h");
});
