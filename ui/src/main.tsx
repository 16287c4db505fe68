import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";
import { render } from "preact";
import { CurrentPage } from "./app/pages";
import { followLinks } from "./app/router";
import { Shell } from "./app/shell";
import { listenToKeys } from "./app/shortcuts";
import { keepTheme } from "./app/theme";

keepTheme();
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
