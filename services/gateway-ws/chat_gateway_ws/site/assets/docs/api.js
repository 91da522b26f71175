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

// Each request is a button already, which sets the address when it opens: a link inside would be a second control.
// The button that closes a dialogue has a sign, but no name.
const Accessible = ({ React }) => ({
  wrapComponents: {
    DeepLink: () => ({ text }) => React.createElement("span", null, text),
    CloseIcon: () => () => React.createElement("span", null, "Close"),
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
