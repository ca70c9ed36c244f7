"""The script that draws a page's plots; knows only where they stand and what they are."""

DRAW = r"""
(() => {
  "use strict";
  const root = document.documentElement;
  const errors = [];
  const fault = (text) => {
    errors.push(String(text));
    root.dataset.errors = JSON.stringify(errors);
  };
  addEventListener("error", (event) => fault(event.message));
  addEventListener("unhandledrejection", (event) => fault(event.reason));
  document.addEventListener("securitypolicyviolation", (event) => fault(`${event.violatedDirective} ${event.blockedURI}`));
  const { config, plots } = JSON.parse(document.getElementById("plots").textContent);
  root.classList.add("scripted");
  // With `ast`, Vega interprets its expressions instead of compiling them, so that the page may forbid eval.
  const options = {
    mode: "vega-lite", config, ast: true, renderer: "svg", actions: false, defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };
  const draw = async (specification, number) => {
    const place = document.getElementById(`plot-${number}`);
    const said = place.getAttribute("aria-label");
    try {
      await vegaEmbed(place, specification, options);
      // Vega-Embed names the place itself; what it shows in words is ours.
      place.setAttribute("role", "img");
      place.removeAttribute("aria-roledescription");
      place.setAttribute("aria-label", said);
    } catch (error) {
      fault(error);
      place.textContent = "This plot could not be drawn; its figures are in the tables.";
    }
  };
  Promise.all(plots.map(draw)).then(() => {
    root.dataset.drawn = document.querySelectorAll(".plot svg").length;
  });
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) {
      part.open = true;
      opened.push(part);
    }
  });
  addEventListener("afterprint", () => {
    while (opened.length) opened.pop().open = false;
  });
})();
"""
