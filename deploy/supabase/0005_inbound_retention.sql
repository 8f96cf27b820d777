-- Headway 0005: a row that an app inserted and that never became a job goes some days after it was taken, like an app's event. And what
-- waits of one job comes in the order in which it was written, requests among events.
begin;

-- When Headway took the newest of the requests that it has taken; null = none yet.
alter table public.bulk_jobs add column if not exists handled_at timestamptz;
-- Those that were taken before it was noted count from now.
update public.bulk_jobs set handled_at = now() where run = 0 and not pending and handled_at is null;
create index if not exists bulk_jobs_unregistered on public.bulk_jobs (handled_at) where run = 0 and not pending;

-- As in 0004, and notes when.
create or replace function public.headway_confirm(done jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set statement_timeout = '15s' set lock_timeout = '5s' as $$
declare
  requests_in constant jsonb := coalesce(done -> 'requests', '[]');
  events_in constant jsonb := coalesce(done -> 'events', '[]');
  requests_out int;
  events_out int;
begin
  update public.bulk_jobs j set handled_rev = r.requested_rev, handled_at = now(), pending = j.requested_rev > r.requested_rev,
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

create index if not exists job_events_waiting_of on headway.job_events_app (tenant_id, job_id, seq) where handled_at is null;

-- As in 0004, but an event's job comes along whenever it waits, and a request tells the seq of the last event before it that waits too:
-- it may stand beyond this page.
create or replace function public.headway_pending(page jsonb) returns jsonb language sql stable security definer set search_path = '' as $$
  with events as materialized (
    select e.tenant_id, e.job_id, e.seq, e.type, e.data, e.correlation_id from headway.job_events_app e
    where e.handled_at is null order by e.seq limit least((page ->> 'limit')::int, 1000)
  ), asked as materialized (
    (select j.tenant_id, j.id from public.bulk_jobs j where j.pending order by j.request_seq limit least((page ->> 'limit')::int, 1000))
    union
    select j.tenant_id, j.id from public.bulk_jobs j join events e on e.tenant_id = j.tenant_id and e.job_id = j.id where j.pending
  ), requests as (
    select j.tenant_id, j.id, j.run, j.request_key, j.request_seq, j.requested_rev, j.handled_rev, j.requested_state, j.title, j.job_kind,
      j.item_kind, j.items_total, j.concurrency, j.processing_deadline_ms, j.auto_complete, j.fail_on_deadline, j.metadata,
      floor(extract(epoch from j.created_at) * 1000)::bigint as created_ms,
      (select max(e.seq) from headway.job_events_app e where e.tenant_id = j.tenant_id and e.job_id = j.id and e.seq < j.request_seq
        and e.handled_at is null) as behind_seq
    from public.bulk_jobs j join asked using (tenant_id, id)
  )
  select jsonb_build_object(
    'requests', (select coalesce(jsonb_agg(to_jsonb(r) order by r.request_seq), '[]') from requests r),
    'events', (select coalesce(jsonb_agg(to_jsonb(e) order by e.seq), '[]') from events e))
$$;

-- What apps wrote goes some days after it was taken: events, and rows of jobs without a run. A row that waits, or has a run, stays. The
-- persister calls it every hour, pg_cron may.
create or replace function public.headway_maintain_inbound(keep_days int default 30, rows_max int default 10000) returns jsonb
language plpgsql volatile security definer set search_path = '' set statement_timeout = '60s' set lock_timeout = '2s' as $$
declare
  gone int;
  jobs_gone int;
begin
  if keep_days < 1 or rows_max < 1 then
    raise exception using errcode = '22023', message = 'headway_maintain_inbound: keep_days and rows_max must be at least 1';
  end if;
  delete from headway.job_events_app where ctid in (
    select ctid from headway.job_events_app where handled_at < now() - make_interval(days => keep_days)
    order by handled_at limit rows_max for update skip locked);
  get diagnostics gone = row_count;
  delete from public.bulk_jobs where (tenant_id, id) in (
    select tenant_id, id from public.bulk_jobs where run = 0 and not pending and handled_at < now() - make_interval(days => keep_days)
    order by handled_at limit rows_max for update skip locked);
  get diagnostics jobs_gone = row_count;
  return jsonb_build_object('events_deleted', gone, 'jobs_deleted', jobs_gone);
end $$;

insert into headway.migrations (version) values (5) on conflict do nothing;
notify pgrst, 'reload schema';
commit;
