"""Django's database backend for PostgreSQL, which notices lost connections before it uses them."""
