-- Headway 0002: what the persister calls. Every function is for the service role alone.
begin;

create or replace function public.headway_version() returns int language sql stable security definer set search_path = '' as $$
  select max(version) from headway.migrations
$$;

-- The one way in. Idempotent; whatever the order, split and repetition of the batches, the tables come out the same: the newest
-- (epoch, rev) of a job, the newest (epoch, seq) of an item, each event once. Rows are taken in the order of their keys, or two
-- persisters would deadlock.
create or replace function public.headway_persist(batch jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set statement_timeout = '15s' set lock_timeout = '5s' as $$
declare
  jobs_in constant jsonb := coalesce(batch -> 'jobs', '[]');
  items_in constant jsonb := coalesce(batch -> 'items', '[]');
  events_in constant jsonb := coalesce(batch -> 'events', '[]');
  jobs_out int;
  items_out int;
  events_out int;
begin
  if jsonb_typeof(batch) is distinct from 'object' or jsonb_typeof(jobs_in) <> 'array' or jsonb_typeof(items_in) <> 'array'
     or jsonb_typeof(events_in) <> 'array' then
    raise exception using errcode = '22023', message = 'headway_persist: batch must be an object of the lists jobs, items and events';
  end if;

  with given as materialized (
    select distinct on (r.tenant_id, r.id) r.* from jsonb_to_recordset(jobs_in) as r(
      tenant_id text collate "C", id text collate "C", run bigint, epoch bigint, rev bigint, seq bigint, title text, job_kind text,
      item_kind text, state text, reason text, concurrency bigint, auto_complete boolean, fail_on_deadline boolean, metadata jsonb,
      created_at timestamptz, started_at timestamptz, updated_at timestamptz, ended_at timestamptz, control jsonb, items_total bigint,
      items_completed bigint, items_failed bigint, items_skipped bigint, items_canceled bigint, items_pending bigint,
      items_processing bigint, percent_complete float8, percent_in_progress float8, time_to_start_ms float8, time_processing_ms float8,
      average_duration_ms_per_item float8, throughput_per_min float8, eta_ms float8, eta_low_ms float8, eta_high_ms float8,
      eta_confidence float8, eta_reason text, finish_at timestamptz, rate_limited boolean, retry_at timestamptz, stalled boolean,
      processing_deadline_ms float8, deadline_exceeded boolean, deadline_at_risk boolean, history_truncated boolean, engine text)
    order by r.tenant_id, r.id, r.epoch desc nulls first, r.rev desc nulls first
  ), written as (
    insert into public.bulk_jobs as j (
      tenant_id, id, run, epoch, rev, seq, title, job_kind, item_kind, state, reason, concurrency, auto_complete, fail_on_deadline,
      metadata, created_at, started_at, updated_at, ended_at, control, items_total, items_completed, items_failed, items_skipped,
      items_canceled, items_pending, items_processing, percent_complete, percent_in_progress, time_to_start_ms, time_processing_ms,
      average_duration_ms_per_item, throughput_per_min, eta_ms, eta_low_ms, eta_high_ms, eta_confidence, eta_reason, finish_at,
      rate_limited, retry_at, stalled, processing_deadline_ms, deadline_exceeded, deadline_at_risk, history_truncated)
    select tenant_id, id, nullif(run, 0), epoch, rev, seq, title, job_kind, item_kind, state, reason, concurrency, auto_complete,
      fail_on_deadline, metadata, created_at, started_at, updated_at, ended_at, control, items_total, items_completed, items_failed,
      items_skipped, items_canceled, items_pending, items_processing, percent_complete, percent_in_progress, time_to_start_ms,
      time_processing_ms, average_duration_ms_per_item, throughput_per_min, eta_ms, eta_low_ms, eta_high_ms, eta_confidence, eta_reason,
      finish_at, rate_limited, retry_at, stalled, processing_deadline_ms, deadline_exceeded, deadline_at_risk,
      coalesce(history_truncated, false)
    from given order by tenant_id, id
    on conflict (tenant_id, id) do update set
      run = excluded.run, epoch = excluded.epoch, rev = excluded.rev, seq = excluded.seq,
      -- null = what the row has, unless that is another run's
      title = coalesce(excluded.title, case when j.run in (0, excluded.run) then j.title end),
      job_kind = coalesce(excluded.job_kind, case when j.run in (0, excluded.run) then j.job_kind end),
      metadata = coalesce(excluded.metadata, case when j.run in (0, excluded.run) then j.metadata end),
      item_kind = excluded.item_kind, state = excluded.state, reason = excluded.reason, concurrency = excluded.concurrency,
      auto_complete = excluded.auto_complete, fail_on_deadline = excluded.fail_on_deadline, created_at = excluded.created_at,
      started_at = excluded.started_at, updated_at = excluded.updated_at, ended_at = excluded.ended_at, control = excluded.control,
      items_total = excluded.items_total, items_completed = excluded.items_completed, items_failed = excluded.items_failed,
      items_skipped = excluded.items_skipped, items_canceled = excluded.items_canceled, items_pending = excluded.items_pending,
      items_processing = excluded.items_processing, percent_complete = excluded.percent_complete,
      percent_in_progress = excluded.percent_in_progress, time_to_start_ms = excluded.time_to_start_ms,
      time_processing_ms = excluded.time_processing_ms, average_duration_ms_per_item = excluded.average_duration_ms_per_item,
      throughput_per_min = excluded.throughput_per_min, eta_ms = excluded.eta_ms, eta_low_ms = excluded.eta_low_ms,
      eta_high_ms = excluded.eta_high_ms, eta_confidence = excluded.eta_confidence, eta_reason = excluded.eta_reason,
      finish_at = excluded.finish_at, rate_limited = excluded.rate_limited, retry_at = excluded.retry_at, stalled = excluded.stalled,
      processing_deadline_ms = excluded.processing_deadline_ms, deadline_exceeded = excluded.deadline_exceeded,
      deadline_at_risk = excluded.deadline_at_risk,
      history_truncated = excluded.history_truncated or (j.run = excluded.run and j.history_truncated)
    where (excluded.epoch, excluded.rev) > (j.epoch, j.rev)
    returning j.tenant_id, j.id
  ), resumes as (
    insert into headway.resume as e (tenant_id, id, engine)
    select g.tenant_id, g.id, g.engine from given g join written using (tenant_id, id) order by 1, 2
    on conflict (tenant_id, id) do update set engine = excluded.engine
  )
  select count(*) into jobs_out from written;

  -- What an older row of the same run knows, and the newest does not: lost history, and the registration, which never changes.
  update public.bulk_jobs j set history_truncated = j.history_truncated or s.truncated, title = coalesce(j.title, s.title),
    job_kind = coalesce(j.job_kind, s.job_kind), metadata = coalesce(j.metadata, s.metadata)
  from (
    select r.tenant_id, r.id, r.run, coalesce(bool_or(r.history_truncated), false) as truncated, max(r.title) as title,
      max(r.job_kind) as job_kind, (array_agg(r.metadata) filter (where r.metadata is not null))[1] as metadata
    from jsonb_to_recordset(jobs_in) as r(tenant_id text collate "C", id text collate "C", run bigint, history_truncated boolean,
      title text, job_kind text, metadata jsonb)
    group by 1, 2, 3
  ) s
  where j.tenant_id = s.tenant_id and j.id = s.id and j.run = s.run
    and (s.truncated and not j.history_truncated or j.title is null and s.title is not null
      or j.job_kind is null and s.job_kind is not null or j.metadata is null and s.metadata is not null);

  with given as materialized (
    select distinct on (r.tenant_id, r.job_id, r.run, r.id) r.* from jsonb_to_recordset(items_in) as r(
      tenant_id text collate "C", job_id text collate "C", run bigint, id text collate "C", epoch bigint, seq bigint, title text,
      state text, row_index bigint, percent_complete float8, attempt bigint, retryable boolean, created_at timestamptz,
      updated_at timestamptz, duration_ms float8, weight float8, kind text, worker text, error jsonb, result jsonb, truncated boolean)
    order by r.tenant_id, r.job_id, r.run, r.id, r.epoch desc nulls first, r.seq desc nulls first
  ), written as (
    insert into public.bulk_job_items as i (
      tenant_id, job_id, run, id, epoch, seq, title, state, row_index, percent_complete, attempt, retryable, created_at, updated_at,
      duration_ms, weight, kind, worker, error, result, truncated)
    select tenant_id, job_id, run, id, epoch, seq, title, state, row_index, percent_complete, attempt, retryable, created_at, updated_at,
      duration_ms, weight, kind, worker, error, result, coalesce(truncated, false)
    from given order by tenant_id, job_id, run, id
    on conflict (tenant_id, job_id, run, id) do update set
      epoch = excluded.epoch, seq = excluded.seq, title = excluded.title, state = excluded.state, row_index = excluded.row_index,
      percent_complete = excluded.percent_complete, attempt = excluded.attempt, retryable = excluded.retryable,
      created_at = excluded.created_at, updated_at = excluded.updated_at, duration_ms = excluded.duration_ms, weight = excluded.weight,
      kind = excluded.kind, worker = excluded.worker, error = excluded.error, result = excluded.result, truncated = excluded.truncated
    where (excluded.epoch, excluded.seq) > (i.epoch, i.seq)
    returning 1
  )
  select count(*) into items_out from written;

  with written as (
    insert into public.job_events (tenant_id, job_id, epoch, seq, run, rev, type, ts, correlation_id, data)
    select r.tenant_id, r.job_id, r.epoch, r.seq, r.run, r.rev, r.type, r.ts, r.correlation_id, coalesce(r.data, '{}')
    from jsonb_to_recordset(events_in) as r(tenant_id text collate "C", job_id text collate "C", epoch bigint, seq bigint, run bigint,
      rev bigint, type text, ts timestamptz, correlation_id text, data jsonb)
    order by r.tenant_id, r.job_id, r.epoch, r.seq
    on conflict do nothing
    returning 1
  )
  select count(*) into events_out from written;

  return jsonb_build_object(
    'jobs', jsonb_array_length(jobs_in), 'jobs_written', jobs_out, 'items', jsonb_array_length(items_in), 'items_written', items_out,
    'events', jsonb_array_length(events_in), 'events_written', events_out);
end $$;

-- Pages of jobs that have not ended. page: {"after": [tenant, id] | null, "limit": n}
create or replace function public.headway_active(page jsonb) returns jsonb language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('jobs', coalesce(jsonb_agg(to_jsonb(r) order by r.tenant_id, r.id), '[]')) from (
    select j.tenant_id, j.id, j.run, j.epoch, j.rev, j.seq, e.engine
    from public.bulk_jobs j left join headway.resume e using (tenant_id, id)
    where j.state not in ('completed', 'canceled', 'failed') and j.run > 0
      and (j.tenant_id, j.id) > (coalesce(page -> 'after' ->> 0, ''), coalesce(page -> 'after' ->> 1, ''))
    order by j.tenant_id, j.id limit least((page ->> 'limit')::int, 1000)) as r
$$;

-- Pages of a run's items, as clients see items. page: {"tenant_id", "job_id", "run", "after": id | null, "limit": n}
create or replace function public.headway_items(page jsonb) returns jsonb language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('items', coalesce(jsonb_agg(r.item order by r.id), '[]')) from (
    select i.id, to_jsonb(i) - '{tenant_id,job_id,run,epoch,seq}'::text[] || jsonb_build_object(
      'created_at', to_char(i.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'updated_at', to_char(i.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as item
    from public.bulk_job_items i
    where i.tenant_id = page ->> 'tenant_id' and i.job_id = page ->> 'job_id' and i.run = (page ->> 'run')::bigint
      and i.id > coalesce(page ->> 'after', '')
    order by i.id limit least((page ->> 'limit')::int, 1000)) as r
$$;

-- Requests that Headway has taken: [{"tenant_id", "id", "requested_rev"}]. A newer request of the same job stays pending.
create or replace function public.headway_handled(requests jsonb) returns int
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s' as $$
declare
  taken int;
begin
  update public.bulk_jobs j set handled_rev = r.requested_rev, pending = j.requested_rev > r.requested_rev,
    requested_state = case when j.requested_rev > r.requested_rev then j.requested_state end
  from jsonb_to_recordset(requests) as r(tenant_id text collate "C", id text collate "C", requested_rev bigint)
  where j.tenant_id = r.tenant_id and j.id = r.id and r.requested_rev > j.handled_rev and r.requested_rev <= j.requested_rev;
  get diagnostics taken = row_count;
  return taken;
end $$;

-- Retention, and the partitions of the days to come. Idempotent; the persister calls it every hour, pg_cron may.
create or replace function public.headway_maintain(keep_events_days int default 30, keep_jobs_days int default 90, days_ahead int default 3,
  jobs_max int default 2000) returns jsonb
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set statement_timeout = '60s' set lock_timeout = '2s' as $$
declare
  day_ms constant bigint := 86400000;
  today constant bigint := floor(extract(epoch from now()) / 86400);
  day bigint;
  part text;
  made int := 0;
  dropped int := 0;
  gone int;
  stale int;
  alive boolean;
begin
  if keep_events_days < 1 or keep_jobs_days < keep_events_days or days_ahead < 0 or jobs_max < 1 then
    raise exception using errcode = '22023',
      message = 'headway_maintain: keep_events_days must be at least 1, keep_jobs_days at least that, days_ahead at least 0';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('headway_maintain', 0));
  for day in today .. today + days_ahead loop
    part := 'job_events_d' || day;
    continue when to_regclass('headway.' || part) is not null;
    -- made apart and attached: CREATE … PARTITION OF would keep writers out
    execute format('create table headway.%I (like public.job_events including defaults including constraints)', part);
    execute format('alter table headway.%I enable row level security', part);
    execute format('revoke all on headway.%I from public, anon, authenticated, service_role', part);
    execute format('with moved as (delete from headway.job_events_default where epoch >= %s and epoch < %s returning *)
      insert into headway.%I select * from moved', day * day_ms, (day + 1) * day_ms, part);
    execute format('alter table public.job_events attach partition headway.%I for values from (%s) to (%s)', part, day * day_ms,
      (day + 1) * day_ms);
    made := made + 1;
  end loop;
  for part in select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.job_events'::regclass and c.relname ~ '^job_events_d\d+$' order by 1 loop
    day := substr(part, 13)::bigint;
    continue when day >= today - keep_events_days;
    execute format('select exists (select from public.bulk_jobs j where j.state not in (''completed'', ''canceled'', ''failed'')
      and j.run < %s and j.updated_at > now() - make_interval(days => %s)
      and exists (select from headway.%I e where e.tenant_id = j.tenant_id and e.job_id = j.id and e.run = j.run))',
      (day + 1) * day_ms, keep_events_days, part) into alive;
    continue when alive;
    execute format('drop table headway.%I', part);
    dropped := dropped + 1;
  end loop;
  delete from headway.job_events_default e where e.epoch < (today - keep_events_days) * day_ms
    and not exists (select from public.bulk_jobs j where j.tenant_id = e.tenant_id and j.id = e.job_id and j.run = e.run
      and j.state not in ('completed', 'canceled', 'failed'));
  with old as (
    delete from public.bulk_jobs where (tenant_id, id) in (
      select tenant_id, id from public.bulk_jobs where ended_at < now() - make_interval(days => keep_jobs_days)
      order by ended_at limit jobs_max for update skip locked)
    returning tenant_id, id
  ), items as (
    delete from public.bulk_job_items i using old where i.tenant_id = old.tenant_id and i.job_id = old.id
  ), resumes as (
    delete from headway.resume e using old where e.tenant_id = old.tenant_id and e.id = old.id
  )
  select count(*) into gone from old;
  -- An id that is used again and again keeps its row for ever: what is left of its earlier runs goes by their own age.
  with older as (
    select i.tenant_id, i.job_id, i.run, i.id from public.bulk_jobs j
    join public.bulk_job_items i on i.tenant_id = j.tenant_id and i.job_id = j.id and i.run < j.run
    where i.updated_at < now() - make_interval(days => keep_jobs_days) limit 50000
  )
  delete from public.bulk_job_items i using older o
    where i.tenant_id = o.tenant_id and i.job_id = o.job_id and i.run = o.run and i.id = o.id;
  get diagnostics stale = row_count;
  return jsonb_build_object('partitions_made', made, 'partitions_dropped', dropped, 'jobs_deleted', gone,
    'items_of_older_runs_deleted', stale);
end $$;

-- Revoking from PUBLIC alone would leave what older projects grant to the roles by default.
revoke all on function public.headway_version(), public.headway_persist(jsonb), public.headway_active(jsonb), public.headway_items(jsonb),
  public.headway_handled(jsonb), public.headway_maintain(int, int, int, int) from public, anon, authenticated, service_role;
grant execute on function public.headway_version(), public.headway_persist(jsonb), public.headway_active(jsonb),
  public.headway_items(jsonb), public.headway_handled(jsonb), public.headway_maintain(int, int, int, int) to service_role;

insert into headway.migrations (version) values (1), (2) on conflict do nothing;
select public.headway_maintain();
notify pgrst, 'reload schema';
commit;
