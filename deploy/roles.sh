#!/bin/sh
# Makes the three roles and the database, once, where PostgreSQL starts with no data: see
# docs/how-to/deploy.md. The passwords come from deploy/.env.
set -eu
psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 \
    --set owner="$OWNER_PASSWORD" --set app="$APP_PASSWORD" --set backup="$BACKUP_PASSWORD" <<'SQL'
CREATE ROLE agentidp_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'owner';
CREATE ROLE agentidp_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'app';
CREATE ROLE agentidp_backup LOGIN NOSUPERUSER BYPASSRLS NOCREATEROLE NOCREATEDB
  IN ROLE pg_read_all_data PASSWORD :'backup';
CREATE DATABASE agentidp OWNER agentidp_owner;
\c agentidp
REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;
SQL
