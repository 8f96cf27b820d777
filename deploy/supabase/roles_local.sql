-- The roles that a Supabase project has and a plain Postgres lacks; run it there as a superuser, before 0001. Never on Supabase.
do $$
declare
  name text;
begin
  foreach name in array array['anon', 'authenticated', 'service_role', 'authenticator'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I noinherit %s', name, case name when 'service_role' then 'nologin bypassrls'
        when 'authenticator' then 'login' else 'nologin' end);
    end if;
  end loop;
end $$;
grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;
