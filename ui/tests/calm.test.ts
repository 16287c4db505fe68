import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { calmly } from "../src/app/calm";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("it is done at once, then only so often", () => {
  const call = vi.fn();
  const calm = calmly(call, 500);
  calm.ask();
  expect(call).toHaveBeenCalledTimes(1);
  for (let each = 0; each < 10; each++) calm.ask();
  expect(call).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(499);
  expect(call).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(call).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(5000);
  expect(call).toHaveBeenCalledTimes(2);
});

test("a page that leaves meanwhile does nothing", () => {
  const call = vi.fn();
  const calm = calmly(call, 500, 200);
  calm.ask();
  expect(call).not.toHaveBeenCalled();
  calm.stop();
  vi.advanceTimersByTime(1000);
  expect(call).not.toHaveBeenCalled();
});
