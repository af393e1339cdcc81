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

/* Swagger UI fills the examples of parameters in and sends them all: ids of nobody, and filters that nobody chose. */
function keep_fields_empty(spec) {
  for (const operation of Object.values(spec.paths).flatMap((methods) => Object.values(methods))) {
    for (const parameter of operation.parameters ?? []) delete parameter.example;
  }
}

/* Which calls need no token on this page: those that read and take the session of the pages. It goes as the cookie that
   no script can see, so nothing is filled in and nothing shown. A token that somebody did fill in comes first. */
function opened_by_the_session(spec) {
  const known = Object.entries(spec.paths)
    .filter(([, methods]) => methods.get?.security?.some((scheme) => "session" in scheme))
    .map(([path]) => new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^?#]+")}$`));
  /* A browser puts no cookie into a header, so nobody can fill it in here. */
  delete spec.components.securitySchemes.session;
  return ({ method = "GET", url, headers = {} }) =>
    method === "GET" &&
    !Object.keys(headers).some((name) => /^(authorization|kodosumi_api_key)$/i.test(name)) &&
    known.some((path) => path.test(new URL(url, location.origin).pathname));
}

/* What Swagger UI leaves out: names of its fields, and code that the keyboard can scroll. */
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
