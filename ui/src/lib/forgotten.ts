/** A running run of a client that sends no signs of life is taken for forgotten when it has not logged for so long. */
export const FORGOTTEN_MS = 10 * 60_000;
