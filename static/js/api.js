/* The API page: Swagger UI over AgentIdP's OpenAPI document. Calls go to the host that served this page, whatever
   public address the document names, because the content security policy allows no other. */

import { toast } from "./toast.js";

const SCHEME = "bearer";
const place = document.getElementById("swagger-ui");
const form = document.querySelector("[data-authorize]");
const authorization = document.querySelector("[data-authorization]");
const authorized = document.querySelector("[data-authorized]");
let ui;
let own;

async function start() {
  const answer = await fetch(place.dataset.schema, { headers: { Accept: "application/vnd.oai.openapi+json" } });
  if (!answer.ok) throw new Error(answer.status);
  const spec = await answer.json();
  spec.servers = [{ url: location.origin }];
  keep_fields_empty(spec);
  const isOpen = opened_by_the_session(spec);
  ui = window.SwaggerUIBundle({
    spec,
    domNode: place,
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    persistAuthorization: false,
    requestInterceptor: (request) => {
      request.credentials = isOpen(request) ? "same-origin" : "omit";
      return request;
    },
  });
  authorization.hidden = false;
}

/* Lets Swagger UI send requests as the person who is signed in, until the token expires. */
async function authorize() {
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
  if (!answer.headers.get("Content-Type")?.startsWith("application/json")) throw new Error(answer.status);
  const { accessToken, expiresIn, message } = await answer.json();
  if (message) return toast(message);
  own = accessToken;
  ui.preauthorizeApiKey(SCHEME, own);
  setTimeout(() => own === accessToken && is_own() && ui.authActions.logout([SCHEME]), (expiresIn - 5) * 1000);
}

function is_own() {
  return Boolean(own) && ui.authSelectors.authorized().getIn([SCHEME, "value"]) === own;
}

/* Tokens are also filled in and removed in Swagger UI's own dialog. */
function show_authorization() {
  if (!ui || form.hidden === is_own()) return;
  form.hidden = is_own();
  authorized.textContent = is_own() ? form.dataset.authorize : "";
}

/* Swagger UI's own dialog, whose button api.css hides: one menu has both ways, and this one also logs out. */
document.querySelector("[data-credentials]").addEventListener("click", () => {
  ui.authActions.showDefinitions(ui.authSelectors.definitionsToAuthorize());
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  authorize().catch(() => toast("You could not be authorized. Reload the page and try again."));
});

/* Swagger UI would prefill and send the examples of all parameters: unknown ids, and filters that were not chosen. It
   has no field for a list of ids, and complains in the console. */
function keep_fields_empty(spec) {
  for (const operation of Object.values(spec.paths).flatMap((methods) => Object.values(methods))) {
    for (const parameter of operation.parameters ?? []) {
      delete parameter.example;
      delete parameter.schema?.items?.format;
    }
  }
}

/* Calls that need no token on this page: reads that accept the session of the pages. Its cookie is invisible to
   scripts, so nothing is filled in or shown. A token that was filled in takes precedence. */
function opened_by_the_session(spec) {
  const known = Object.entries(spec.paths)
    .filter(([, methods]) => methods.get?.security?.some((scheme) => "session" in scheme))
    .map(([path]) => new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^?#]+")}$`));
  /* Scripts cannot set the Cookie header, so it cannot be filled in here. */
  delete spec.components.securitySchemes.session;
  delete spec.components.securitySchemes.keyCookie;
  return ({ method = "GET", url, headers = {} }) =>
    method === "GET" &&
    !Object.keys(headers).some((name) => /^(authorization|kodosumi_api_key)$/i.test(name)) &&
    known.some((path) => path.test(new URL(url, location.origin).pathname));
}

/* Accessibility that Swagger UI lacks: labels of its fields, and code that the keyboard can scroll. */
function repair() {
  for (const row of place.querySelectorAll("tr[data-param-name]")) {
    for (const field of row.querySelectorAll("select, input, textarea")) {
      if (!field.labels?.length) field.setAttribute("aria-label", row.dataset.paramName);
    }
  }
  for (const field of place.querySelectorAll("textarea.body-param__text:not([aria-label])")) field.setAttribute("aria-label", "Request body");
  for (const field of place.querySelectorAll(".examples-select-element:not([aria-label])")) field.setAttribute("aria-label", "Example");
  for (const button of place.querySelectorAll(".close-modal:not([aria-label])")) button.setAttribute("aria-label", "Close");
  for (const button of place.querySelectorAll(".auth-btn-wrapper .auth[aria-label]")) button.removeAttribute("aria-label");
  for (const code of place.querySelectorAll("pre.microlight, .highlight-code > .microlight")) code.tabIndex = 0;
}

new MutationObserver(() => {
  repair();
  show_authorization();
}).observe(place, { childList: true, subtree: true });

start().catch(() => {
  place.textContent = "The API description could not be loaded. Reload the page to try again.";
});
