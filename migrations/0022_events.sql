-- Channels that payloads are published to. The row of a channel orders its events: whoever locks it has the next number.
create table channels (
  id bigint generated always as identity,
  name text collate "C" not null,
  last_event bigint not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  constraint channels_pkey primary key (id),
  constraint channels_name_key unique (name)
) with (fillfactor = 50);

comment on column channels.last_event is 'Number of its last event.';

-- Events of channels, locks and elections, for as long as they are kept.
create table events (
  topic text not null,
  subject_id bigint not null,
  event bigint not null,
  kind text not null,
  payload json storage external,
  created_at timestamptz not null default clock_timestamp(),
  constraint events_pkey primary key (topic, subject_id, event),
  constraint events_topic_check check (topic in ('channel', 'lock', 'election'))
);

comment on column events.subject_id is 'The channel, or the lock.';
comment on column events.event is 'Its number among those of the subject, from 1, without a gap.';
comment on column events.kind is 'What happened.';
comment on column events.payload is 'Token for token, and on one line. Not compressed, so that its size is known before it is read.';

create index events_created_idx on events (created_at);
