// Swagger UI for one of the five OpenAPI documents; `?service=rooms` chooses it. Links to one request stay possible.

const service = document.getElementById("service");
const documentOf = (name) => `/docs/openapi/${name}.json`;
const asked = new URLSearchParams(location.search).get("service");
if ([...service.options].some(({ value }) => value === asked)) service.value = asked;

// The stylesheet of Swagger UI knows dark colours by this class alone.
const dark = matchMedia("(prefers-color-scheme: dark)");
const adapt = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
adapt();
dark.addEventListener("change", adapt);

// What Swagger UI lacks for keyboards and screen readers.
const Accessible = ({ React: { createElement } }) => ({
  wrapComponents: {
    // Each request is a button already, which sets the address when it opens: no second control inside of it.
    DeepLink: () => ({ text }) => createElement("span", null, text),
    // The button that closes a dialogue has a sign, but no name.
    CloseIcon: () => () => createElement("span", null, "Close"),
    // Buttons are called what they say.
    Button: (Button) => (props) =>
      createElement(Button, typeof props.children === "string" ? { ...props, "aria-label": undefined } : props),
    // What scrolls takes the focus.
    PlainTextViewer: () => ({ className = "", children }) =>
      createElement("pre", { className: `microlight ${className}`, tabIndex: 0 }, children),
    // The choice of an example has no name.
    ExamplesSelect: (Select) => (props) =>
      createElement("label", null, createElement("span", { className: "unseen" }, "Example"), createElement(Select, props)),
  },
});

const ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: documentOf(service.value),
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  plugins: [Accessible],
  // Its colours are too faint to be read.
  syntaxHighlight: false,
  // Nothing leaves this origin, also not to ask whether the document is valid.
  validatorUrl: null,
});

service.addEventListener("change", () => {
  history.replaceState(null, "", `?service=${service.value}`);
  ui.specActions.updateUrl(documentOf(service.value));
  ui.specActions.download(documentOf(service.value));
});
