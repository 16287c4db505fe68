/** Whether more of a metric is better, by what metrics are usually called. */

const LOWER =
  /(^|[^a-z])(loss|error|err|rmse|mse|mae|mape|perplexity|ppl|latency|wer|cer|time|seconds|ms|bytes|cost)($|[^a-z])/i;
const HIGHER =
  /(^|[^a-z])(acc|accuracy|f1|auc|r2|precision|recall|score|bleu|rouge|map|iou|dice|ndcg|throughput)($|[^a-z0-9])/i;

/** Whether a metric is better when higher; `undefined` where its name does not tell. */
export function isHigherBetter(name: string): boolean | undefined {
  if (LOWER.test(name)) return false;
  return HIGHER.test(name) ? true : undefined;
}
