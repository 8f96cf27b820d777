-- Stand-in for the schema of deploy/supabase in the tests of the sinks: the same functions with the same answers, over tables that
-- keep each row as JSON. What is not here: grants, policies, partitions, requests of the app.

create role anon nologin;
create role service_role nologin;
create table bulk_jobs (
  tenant_id text, id text, run bigint not null, epoch bigint not null, rev bigint not null, seq bigint not null, state text not null,
  history_truncated boolean not null default false, engine text, data jsonb not null,
  updates int not null default 0, check (data ->> 'title' <> 'poison'), primary key (tenant_id, id)
);
create table bulk_job_items (
  tenant_id text, job_id text, run bigint, id text collate "C", epoch bigint not null, seq bigint not null, state text not null, data jsonb not null,
  primary key (tenant_id, job_id, run, id)
);
create table job_events (
  tenant_id text, job_id text, epoch bigint, seq bigint, run bigint not null, type text not null, data jsonb not null,
  check (data ->> 'correlation_id' <> 'poison'), primary key (tenant_id, job_id, epoch, seq)
);

create function headway_version() returns int language sql security definer as 'select 1';
create function headway_maintain() returns jsonb language sql security definer as $$ select '{}'::jsonb $$;

create function headway_persist(batch jsonb) returns jsonb language plpgsql security definer set statement_timeout = '15s' as $$
declare jobs_out int; items_out int; events_out int;
begin
  if jsonb_typeof(batch) is distinct from 'object' then
    raise exception using errcode = '22023', message = 'headway_persist: batch must be an object';
  end if;
  with src as materialized (
    select distinct on (d ->> 'tenant_id', d ->> 'id') d ->> 'tenant_id' as tenant_id, d ->> 'id' as id, (d ->> 'run')::bigint as run,
      (d ->> 'epoch')::bigint as epoch, (d ->> 'rev')::bigint as rev, (d ->> 'seq')::bigint as seq, d ->> 'state' as state,
      coalesce((d ->> 'history_truncated')::boolean, false) as history_truncated, d ->> 'engine' as engine, d - 'engine' as data
    from jsonb_array_elements(coalesce(batch -> 'jobs', '[]')) as d order by 1, 2, 4 desc, 5 desc
  ), up as (
    insert into bulk_jobs as j (tenant_id, id, run, epoch, rev, seq, state, history_truncated, engine, data)
    select * from src order by tenant_id, id
    on conflict (tenant_id, id) do update set
      run = excluded.run, epoch = excluded.epoch, rev = excluded.rev, seq = excluded.seq, state = excluded.state, engine = excluded.engine,
      data = excluded.data, updates = j.updates + 1,
      history_truncated = excluded.history_truncated or (j.run = excluded.run and j.history_truncated)
    where (excluded.epoch, excluded.rev) > (j.epoch, j.rev)
    returning 1
  )
  select count(*) from up into jobs_out;
  update bulk_jobs j set history_truncated = true from jsonb_array_elements(coalesce(batch -> 'jobs', '[]')) as d
    where (d ->> 'history_truncated')::boolean and j.tenant_id = d ->> 'tenant_id' and j.id = d ->> 'id' and j.run = (d ->> 'run')::bigint;
  with up as (
    insert into bulk_job_items as i (tenant_id, job_id, run, id, epoch, seq, state, data)
    select d ->> 'tenant_id', d ->> 'job_id', (d ->> 'run')::bigint, d ->> 'id', (d ->> 'epoch')::bigint, (d ->> 'seq')::bigint, d ->> 'state',
      d - '{tenant_id,job_id,run,epoch,seq}'::text[]
    from jsonb_array_elements(coalesce(batch -> 'items', '[]')) as d order by 1, 2, 3, 4
    on conflict (tenant_id, job_id, run, id) do update set epoch = excluded.epoch, seq = excluded.seq, state = excluded.state, data = excluded.data
    where (excluded.epoch, excluded.seq) > (i.epoch, i.seq)
    returning 1
  )
  select count(*) from up into items_out;
  with ins as (
    insert into job_events (tenant_id, job_id, epoch, seq, run, type, data)
    select d ->> 'tenant_id', d ->> 'job_id', (d ->> 'epoch')::bigint, (d ->> 'seq')::bigint, (d ->> 'run')::bigint, d ->> 'type', d
    from jsonb_array_elements(coalesce(batch -> 'events', '[]')) as d order by 1, 2, 3, 4
    on conflict do nothing returning 1
  )
  select count(*) from ins into events_out;
  return jsonb_build_object(
    'jobs', jsonb_array_length(coalesce(batch -> 'jobs', '[]')), 'jobs_written', jobs_out,
    'items', jsonb_array_length(coalesce(batch -> 'items', '[]')), 'items_written', items_out,
    'events', jsonb_array_length(coalesce(batch -> 'events', '[]')), 'events_written', events_out);
end $$;

create function headway_active(page jsonb) returns jsonb language sql security definer as $$
  select jsonb_build_object('jobs', coalesce(jsonb_agg(to_jsonb(r) order by r.tenant_id collate "C", r.id collate "C"), '[]')) from (
    select tenant_id, id, run, epoch, rev, seq, engine from bulk_jobs
    where state not in ('completed', 'canceled', 'failed')
      and (page -> 'after' = 'null' or (tenant_id collate "C", id collate "C") > (page -> 'after' ->> 0, page -> 'after' ->> 1))
    order by tenant_id collate "C", id collate "C" limit (page ->> 'limit')::int) as r
$$;

create function headway_items(page jsonb) returns jsonb language sql security definer as $$
  select jsonb_build_object('items', coalesce(jsonb_agg(r.data order by r.id), '[]')) from (
    select id, data from bulk_job_items
    where tenant_id = page ->> 'tenant_id' and job_id = page ->> 'job_id' and run = (page ->> 'run')::bigint
      and (page -> 'after' = 'null' or id > page ->> 'after')
    order by id limit (page ->> 'limit')::int) as r
$$;

grant execute on all functions in schema public to service_role;
revoke execute on all functions in schema public from public, anon;
