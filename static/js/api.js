/* The API page: Swagger UI over our own OpenAPI document. Calls go to the host that served this page, whatever
   public address the document names, because the content security policy allows no other. */

const place = document.getElementById("swagger-ui");

async function start() {
  const answer = await fetch(place.dataset.schema, { headers: { Accept: "application/vnd.oai.openapi+json" } });
  if (!answer.ok) throw new Error(answer.status);
  const spec = await answer.json();
  spec.servers = [{ url: location.origin }];
  window.SwaggerUIBundle({
    spec,
    domNode: place,
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    persistAuthorization: false,
    requestInterceptor: (request) => {
      request.credentials = "omit";
      return request;
    },
  });
}

/* What Swagger UI leaves out: names of its fields, and code that the keyboard can scroll. */
function repair() {
  for (const row of place.querySelectorAll("tr[data-param-name]")) {
    for (const field of row.querySelectorAll("select, input, textarea")) {
      if (!field.labels?.length) field.setAttribute("aria-label", row.dataset.paramName);
    }
  }
  for (const code of place.querySelectorAll("pre.microlight, .highlight-code > .microlight")) code.tabIndex = 0;
}

new MutationObserver(repair).observe(place, { childList: true, subtree: true });

start().catch(() => {
  place.textContent = "The description of the API could not be loaded. Load the page again.";
});
