/* The API page: Swagger UI over our own OpenAPI document. Calls go to the host that served this page, whatever
   public address the document names, because the content security policy allows no other. */

const place = document.getElementById("swagger-ui");

async function start() {
  const answer = await fetch(place.dataset.schema, { headers: { Accept: "application/vnd.oai.openapi+json" } });
  if (!answer.ok) throw new Error(answer.status);
  const spec = await answer.json();
  spec.servers = [{ url: location.origin }];
  keep_fields_empty(spec);
  const isOpen = opened_by_the_session(spec);
  window.SwaggerUIBundle({
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
}

/* Swagger UI would prefill and send the examples of all parameters: unknown ids, and filters that were not chosen. */
function keep_fields_empty(spec) {
  for (const operation of Object.values(spec.paths).flatMap((methods) => Object.values(methods))) {
    for (const parameter of operation.parameters ?? []) delete parameter.example;
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
  for (const button of place.querySelectorAll(".auth-btn-wrapper .authorize[aria-label]")) button.removeAttribute("aria-label");
  for (const code of place.querySelectorAll("pre.microlight, .highlight-code > .microlight")) code.tabIndex = 0;
}

new MutationObserver(repair).observe(place, { childList: true, subtree: true });

start().catch(() => {
  place.textContent = "The API description could not be loaded. Reload the page to try again.";
});
