-- Headway 0003: ended jobs by registration, newest first, as gateways list them.
begin;

create index if not exists bulk_jobs_history on public.bulk_jobs (tenant_id, run desc, id desc) where ended_at is not null;

insert into headway.migrations (version) values (3) on conflict do nothing;
commit;
