import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";
import { render } from "preact";
// What most pages need comes in the first file: a file of its own for each would cost a request.
import "./api/resource";
import "./app/copy";
import "./app/first_steps";
import "./app/states";
import "./grid/grid";
import "./grid/rows";
import "./lib/format";
import { ignoreStrayClicks } from "./app/hasty";
import { CurrentPage } from "./app/pages";
import { followLinks } from "./app/router";
import { Shell } from "./app/shell";
import { listenToKeys } from "./app/shortcuts";
import { keepTheme } from "./app/theme";

keepTheme();
ignoreStrayClicks();
followLinks();
listenToKeys();
const root = document.getElementById("app");
if (root)
  render(
    <Shell>
      <CurrentPage />
    </Shell>,
    root,
  );
