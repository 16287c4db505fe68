/** What a part of a page shows where drawing it failed, instead of taking the rest of the page with it. */

import { Component, type ComponentChildren } from "preact";
import { ApiError } from "../api/request";
import { Failure } from "./states";

interface Props {
  /** What could not be drawn, as the beginning of a sentence. */
  readonly what: string;
  readonly children: ComponentChildren;
}

export class Boundary extends Component<Props, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidCatch(error: unknown) {
    console.error(error); // with its place in the code, for a report
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return <>{this.props.children}</>;
    const said = error instanceof Error ? error.message : String(error);
    const text = `${this.props.what} could not be drawn. This is a fault of slipstream, your data is as it was. (${said})`;
    return (
      <Failure error={new ApiError(text, 0, "")} retry={() => this.setState({ error: undefined } as never)} />
    );
  }
}
