-- Headway 0004: what an app writes. It inserts jobs, asks in requested_state, and inserts worker events with origin 'app'; the persister
-- takes each once and says what was refused. Rows that wait are found by themselves, not by a position: a transaction that commits late
-- is behind nobody's back.
begin;

-- What users may write by their own tokens; the service role may all of it. Less: update headway.settings set app_writes = '{jobs}'
alter table headway.settings add column if not exists app_writes text[] not null default '{jobs,requests,events}';

create or replace function headway.app_may(what text) returns boolean language sql stable security definer set search_path = '' as $$
  select what = any(s.app_writes) from headway.settings s
$$;

-- One order for all that an app writes. Far above any seq of a log; one that is made anew begins above what the one before gave out.
do $$ begin
  if to_regclass('headway.inbound') is null then
    execute format('create sequence headway.inbound start %s', 1000000000000000 + floor(extract(epoch from clock_timestamp()))::bigint * 100000);
  end if;
end $$;

-- Of the newest request: its place in that order, and what makes it this one, for as long as the row lives. Refused: {"code", "detail",
-- "action", "at"} of the last request that was not taken, until the next one.
alter table public.bulk_jobs
  add column if not exists request_key uuid,
  add column if not exists request_seq bigint,
  add column if not exists refused jsonb;
update public.bulk_jobs set request_key = gen_random_uuid(), request_seq = nextval('headway.inbound') where pending and request_key is null;
create index if not exists bulk_jobs_requests on public.bulk_jobs (request_seq) where pending;
drop index if exists public.bulk_jobs_pending;

-- Also rings for those who LISTEN. For the sequence it runs as its owner.
create or replace function headway.note_request() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    if new.run <> 0 then return new; end if;
    if octet_length(coalesce(new.metadata::text, '')) > 16384 or octet_length(coalesce(new.title, '') || coalesce(new.job_kind, '')) > 4096 then
      raise exception using errcode = '23514', message = 'bulk_jobs: metadata of at most 16 KiB, title and job_kind of at most 4 KiB';
    end if;
    new.requested_rev := 1;
  elsif new.requested_state is not null and new.requested_state is distinct from old.requested_state then
    new.requested_rev := old.requested_rev + 1;
    new.refused := null;
  else
    return new;
  end if;
  new.pending := true;
  new.request_key := coalesce(new.request_key, gen_random_uuid());
  new.request_seq := nextval('headway.inbound');
  perform pg_notify('headway_inbound', '');
  return new;
end $$;

-- An app's events share the table and nothing else: epoch and run are 0, which no log has, so they lie in a partition of their own, are
-- no part of any history, and the partition can be published alone.
alter table public.job_events
  add column if not exists origin text not null default 'headway',
  add column if not exists handled_at timestamptz,
  add column if not exists refused jsonb,
  alter column epoch set default 0,
  alter column run set default 0,
  alter column rev set default 0,
  alter column ts set default now(),
  alter column seq set default nextval('headway.inbound');
do $$ begin
  if not exists (select from pg_constraint where conrelid = 'public.job_events'::regclass and conname = 'job_events_origin_check') then
    alter table public.job_events drop constraint if exists job_events_epoch_check, drop constraint if exists job_events_run_check,
      add constraint job_events_origin_check check (case origin
        when 'headway' then epoch > 0 and run > 0 and handled_at is null and refused is null
        when 'app' then epoch = 0 and run = 0
          and type in ('job.register', 'job.state', 'job.progress', 'job.heartbeat', 'item.update')
          and tenant_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$' and job_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'
          and jsonb_typeof(data) = 'object' and octet_length(data::text) <= 32768 and octet_length(coalesce(correlation_id, '')) <= 1024
        else false end);
  end if;
end $$;
create table if not exists headway.job_events_app partition of public.job_events for values from (0) to (1);
alter table headway.job_events_app enable row level security;
create index if not exists job_events_waiting on headway.job_events_app (seq) where handled_at is null;
create index if not exists job_events_handled on headway.job_events_app (handled_at) where handled_at is not null;

create or replace function headway.ring() returns trigger language plpgsql set search_path = '' as $$
begin
  perform pg_notify('headway_inbound', '');
  return null;
end $$;
create or replace trigger ring after insert on headway.job_events_app for each row execute function headway.ring();

-- What waits, in the order in which it was asked for. page: {"limit": n}. An event's job comes along if it is not registered yet.
create or replace function public.headway_pending(page jsonb) returns jsonb language sql stable security definer set search_path = '' as $$
  with events as materialized (
    select e.tenant_id, e.job_id, e.seq, e.type, e.data, e.correlation_id from headway.job_events_app e
    where e.handled_at is null order by e.seq limit least((page ->> 'limit')::int, 1000)
  ), asked as materialized (
    (select j.tenant_id, j.id from public.bulk_jobs j where j.pending order by j.request_seq limit least((page ->> 'limit')::int, 1000))
    union
    select j.tenant_id, j.id from public.bulk_jobs j join events e on e.tenant_id = j.tenant_id and e.job_id = j.id where j.pending and j.run = 0
  ), requests as (
    select j.tenant_id, j.id, j.run, j.request_key, j.request_seq, j.requested_rev, j.handled_rev, j.requested_state, j.title, j.job_kind,
      j.item_kind, j.items_total, j.concurrency, j.processing_deadline_ms, j.auto_complete, j.fail_on_deadline, j.metadata,
      floor(extract(epoch from j.created_at) * 1000)::bigint as created_ms
    from public.bulk_jobs j join asked using (tenant_id, id)
  )
  select jsonb_build_object(
    'requests', (select coalesce(jsonb_agg(to_jsonb(r) order by r.request_seq), '[]') from requests r),
    'events', (select coalesce(jsonb_agg(to_jsonb(e) order by e.seq), '[]') from events e))
$$;

-- What was taken, or refused: {"requests": [{"tenant_id", "id", "requested_rev", "refused"}], "events": [{"tenant_id", "job_id", "seq",
-- "refused"}]}. A newer request of the same job stays pending. Idempotent.
create or replace function public.headway_confirm(done jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set statement_timeout = '15s' set lock_timeout = '5s' as $$
declare
  requests_in constant jsonb := coalesce(done -> 'requests', '[]');
  events_in constant jsonb := coalesce(done -> 'events', '[]');
  requests_out int;
  events_out int;
begin
  update public.bulk_jobs j set handled_rev = r.requested_rev, pending = j.requested_rev > r.requested_rev,
    requested_state = case when j.requested_rev > r.requested_rev then j.requested_state end,
    refused = case when j.requested_rev > r.requested_rev then j.refused else r.refused end
  from jsonb_to_recordset(requests_in) as r(tenant_id text collate "C", id text collate "C", requested_rev bigint, refused jsonb)
  where j.tenant_id = r.tenant_id and j.id = r.id and r.requested_rev > j.handled_rev and r.requested_rev <= j.requested_rev;
  get diagnostics requests_out = row_count;
  update headway.job_events_app e set handled_at = now(), refused = r.refused
  from jsonb_to_recordset(events_in) as r(tenant_id text collate "C", job_id text collate "C", seq bigint, refused jsonb)
  where e.tenant_id = r.tenant_id and e.job_id = r.job_id and e.epoch = 0 and e.seq = r.seq and e.handled_at is null;
  get diagnostics events_out = row_count;
  return jsonb_build_object('requests', jsonb_array_length(requests_in), 'requests_taken', requests_out,
    'events', jsonb_array_length(events_in), 'events_taken', events_out);
end $$;
drop function if exists public.headway_handled(jsonb); -- what 0002 had for it

-- An app's events go some days after they were taken. The persister calls it every hour, pg_cron may.
create or replace function public.headway_maintain_inbound(keep_days int default 30, rows_max int default 10000) returns jsonb
language plpgsql volatile security definer set search_path = '' set statement_timeout = '60s' set lock_timeout = '2s' as $$
declare
  gone int;
begin
  if keep_days < 1 or rows_max < 1 then
    raise exception using errcode = '22023', message = 'headway_maintain_inbound: keep_days and rows_max must be at least 1';
  end if;
  delete from headway.job_events_app where ctid in (
    select ctid from headway.job_events_app where handled_at < now() - make_interval(days => keep_days)
    order by handled_at limit rows_max for update skip locked);
  get diagnostics gone = row_count;
  return jsonb_build_object('events_deleted', gone);
end $$;

drop policy if exists headway_insert on public.bulk_jobs;
drop policy if exists headway_request on public.bulk_jobs;
drop policy if exists headway_insert on public.job_events;
create policy headway_insert on public.bulk_jobs for insert to authenticated
  with check (tenant_id = (select headway.tenant()) and (select headway.app_may('jobs')));
create policy headway_request on public.bulk_jobs for update to authenticated
  using (tenant_id = (select headway.tenant())) with check (tenant_id = (select headway.tenant()) and (select headway.app_may('requests')));
create policy headway_insert on public.job_events for insert to authenticated
  with check (origin = 'app' and tenant_id = (select headway.tenant()) and (select headway.app_may('events')));

revoke all on sequence headway.inbound from public, anon, authenticated, service_role;
revoke all on headway.job_events_app from public, anon, authenticated, service_role;
revoke all on function headway.app_may(text), headway.note_request(), headway.ring(), public.headway_pending(jsonb),
  public.headway_confirm(jsonb), public.headway_maintain_inbound(int, int) from public, anon, authenticated, service_role;
grant insert (tenant_id, job_id, type, data, correlation_id, origin) on public.job_events to authenticated, service_role;
grant usage on sequence headway.inbound to authenticated, service_role;
grant execute on function headway.app_may(text) to authenticated;
grant execute on function public.headway_pending(jsonb), public.headway_confirm(jsonb), public.headway_maintain_inbound(int, int) to service_role;
-- Realtime tells a change to those who may see it: the persister listens as the service role.
grant usage on schema headway to service_role;
grant select on headway.job_events_app to service_role;

do $$ begin
  if not exists (select from pg_publication_tables where pubname = 'supabase_realtime' and schemaname = 'headway' and tablename = 'job_events_app') then
    alter publication supabase_realtime add table headway.job_events_app;
  end if;
end $$;

insert into headway.migrations (version) values (4) on conflict do nothing;
notify pgrst, 'reload schema';
commit;
