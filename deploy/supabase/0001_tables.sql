-- Headway 0001: tables, tenant isolation, requests of the app. For Postgres 15 and later; a Supabase project's `postgres` may run it, and
-- run all files again, in order, without harm. A plain Postgres needs roles_local.sql before it.
begin;

create schema if not exists headway;                -- private: never add it to the exposed schemas
revoke all on schema headway from public, anon, authenticated, service_role;

create table if not exists headway.migrations (version int primary key, applied_at timestamptz not null default now());

-- Where a token names its tenant, as HEADWAY_TENANT_CLAIM says it. Another one: update headway.settings set tenant_claim = 'sub';
create table if not exists headway.settings (only_row boolean primary key default true check (only_row), tenant_claim text not null);
insert into headway.settings (tenant_claim) values ('app_metadata.tenant_id') on conflict do nothing;

-- Null without a token or without the claim: equal to no tenant. user_metadata must never be named, users write it themselves.
create or replace function headway.tenant() returns text language sql stable security definer set search_path = '' as $$
  select nullif(current_setting('request.jwt.claims', true), '')::jsonb #>> string_to_array(s.tenant_claim, '.') from headway.settings s
$$;

-- Jobs. (epoch, rev) orders any two states; run is the epoch of the registration. All three 0: an app inserted it, Headway has yet to see it.
create table if not exists public.bulk_jobs (
  tenant_id                    text collate "C" not null check (tenant_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'),
  id                           text collate "C" not null check (id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'),
  run                          bigint not null default 0 check (run >= 0),
  epoch                        bigint not null default 0,
  rev                          bigint not null default 0,
  seq                          bigint not null default 0,
  title                        text,
  job_kind                     text,
  item_kind                    text not null default 'video' check (item_kind ~ '^[a-z][a-z0-9_]{0,31}$' and item_kind <> 'job'),
  state                        text not null default 'pending' check (state in
    ('pending', 'running', 'pausing', 'paused', 'completing', 'completed', 'canceling', 'canceled', 'failed')),
  reason                       text,
  concurrency                  bigint,
  auto_complete                boolean not null default false,
  fail_on_deadline             boolean not null default false,
  metadata                     jsonb check (metadata is null or jsonb_typeof(metadata) = 'object'),
  created_at                   timestamptz not null default now(),
  started_at                   timestamptz,
  updated_at                   timestamptz not null default now(),
  ended_at                     timestamptz,
  control                      jsonb,
  items_total                  bigint not null default 0 check (items_total >= 0),
  items_completed              bigint not null default 0,
  items_failed                 bigint not null default 0,
  items_skipped                bigint not null default 0,
  items_canceled               bigint not null default 0,
  items_pending                bigint not null default 0,
  items_processing             bigint not null default 0,
  percent_complete             double precision not null default 0,
  percent_in_progress          double precision not null default 0,
  time_to_start_ms             double precision,
  time_processing_ms           double precision not null default 0,
  average_duration_ms_per_item double precision,
  throughput_per_min           double precision,
  eta_ms                       double precision,
  eta_low_ms                   double precision,
  eta_high_ms                  double precision,
  eta_confidence               double precision not null default 0,
  eta_reason                   text,
  finish_at                    timestamptz,
  rate_limited                 boolean not null default false,
  retry_at                     timestamptz,
  stalled                      boolean not null default false,
  processing_deadline_ms       double precision,
  deadline_exceeded            boolean not null default false,
  deadline_at_risk             boolean not null default false,
  history_truncated            boolean not null default false,
  -- the app's word; null again once Headway has taken it
  requested_state              text check (requested_state in ('pause', 'resume', 'cancel')),
  -- kept by the trigger and headway_handled: requested_rev above handled_rev = pending
  requested_rev                bigint not null default 0,
  handled_rev                  bigint not null default 0,
  pending                      boolean not null default false,
  primary key (tenant_id, id)
) with (fillfactor = 85);
create index if not exists bulk_jobs_newest  on public.bulk_jobs (tenant_id, created_at desc, id);
create index if not exists bulk_jobs_pending on public.bulk_jobs (tenant_id, id) where pending;
create index if not exists bulk_jobs_active  on public.bulk_jobs (tenant_id, id) where state not in ('completed', 'canceled', 'failed');
create index if not exists bulk_jobs_ended   on public.bulk_jobs (ended_at) where ended_at is not null;

-- Only a rebuild reads it. A table of its own, so that `select *` of the jobs stays allowed to everybody who may see them.
create table if not exists headway.resume (
  tenant_id text collate "C", id text collate "C", engine text,
  primary key (tenant_id, id)
);

-- Newest record of each settled item of a run, or of one that is being tried again. Newer by (epoch, seq).
create table if not exists public.bulk_job_items (
  tenant_id        text collate "C" not null,
  job_id           text collate "C" not null,
  run              bigint not null check (run > 0),
  id               text collate "C" not null check (length(id) between 1 and 128),
  epoch            bigint not null,
  seq              bigint not null,
  title            text,
  state            text not null check (state in ('processing', 'completed', 'failed', 'skipped', 'canceled')),
  row_index        bigint,
  percent_complete double precision not null,
  attempt          bigint not null,
  retryable        boolean not null,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  duration_ms      double precision,
  weight           double precision,
  kind             text,
  worker           text,
  error            jsonb,
  result           jsonb,
  truncated        boolean not null default false,
  primary key (tenant_id, job_id, run, id)
);

-- Logged events, each once. Partitions are days of the epoch, the only time in the key: an event of a long job stands by its job's
-- beginning, and a partition goes when none of its jobs is alive. They live in the private schema: a partition in an exposed one would
-- be a table of its own, which does not inherit the policies.
create table if not exists public.job_events (
  tenant_id      text collate "C" not null,
  job_id         text collate "C" not null,
  epoch          bigint not null check (epoch > 0),
  seq            bigint not null check (seq > 0),
  run            bigint not null check (run > 0),
  rev            bigint not null,
  type           text not null,
  ts             timestamptz not null,
  correlation_id text,
  data           jsonb not null,
  primary key (tenant_id, job_id, epoch, seq)
) partition by range (epoch);
create table if not exists headway.job_events_default partition of public.job_events default;

-- An app's insert or request makes the row pending; Headway's own writes never do, so they ring no doorbell.
create or replace function headway.note_request() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    if new.run = 0 then
      new.requested_rev := 1;
      new.pending := true;
    end if;
  elsif new.requested_state is not null and new.requested_state is distinct from old.requested_state then
    new.requested_rev := old.requested_rev + 1;
    new.pending := true;
  end if;
  return new;
end $$;
create or replace trigger note_request before insert or update of requested_state on public.bulk_jobs
  for each row execute function headway.note_request();

-- Isolation. (select …) is evaluated once a statement, not once a row.
alter table public.bulk_jobs enable row level security;
alter table public.bulk_job_items enable row level security;
alter table public.job_events enable row level security;
alter table headway.resume enable row level security;
alter table headway.settings enable row level security;
alter table headway.migrations enable row level security;
alter table headway.job_events_default enable row level security;

drop policy if exists headway_read on public.bulk_jobs;
drop policy if exists headway_insert on public.bulk_jobs;
drop policy if exists headway_request on public.bulk_jobs;
drop policy if exists headway_read on public.bulk_job_items;
drop policy if exists headway_read on public.job_events;
create policy headway_read on public.bulk_jobs for select to authenticated using (tenant_id = (select headway.tenant()));
create policy headway_insert on public.bulk_jobs for insert to authenticated with check (tenant_id = (select headway.tenant()));
create policy headway_request on public.bulk_jobs for update to authenticated
  using (tenant_id = (select headway.tenant())) with check (tenant_id = (select headway.tenant()));
create policy headway_read on public.bulk_job_items for select to authenticated using (tenant_id = (select headway.tenant()));
create policy headway_read on public.job_events for select to authenticated using (tenant_id = (select headway.tenant()));

-- Both ways and by name: older projects grant everything to these roles by default, newer ones nothing. Headway's own columns nobody
-- writes but headway_persist, the service role neither.
revoke all on public.bulk_jobs, public.bulk_job_items, public.job_events from public, anon, authenticated, service_role;
revoke all on all tables in schema headway from public, anon, authenticated, service_role;
grant select on public.bulk_jobs, public.bulk_job_items, public.job_events to authenticated, service_role;
grant insert (tenant_id, id, title, job_kind, item_kind, items_total, concurrency, processing_deadline_ms, auto_complete,
  fail_on_deadline, metadata) on public.bulk_jobs to authenticated, service_role;
grant update (requested_state) on public.bulk_jobs to authenticated, service_role;
revoke all on function headway.tenant(), headway.note_request() from public, anon, authenticated, service_role;
grant execute on function headway.tenant() to authenticated;

-- Only jobs are published: a doorbell for requests. Events would cost Realtime a decoding each.
do $$ begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  if not exists (select from pg_publication_tables where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'bulk_jobs') then
    alter publication supabase_realtime add table public.bulk_jobs;
  end if;
end $$;

commit;
