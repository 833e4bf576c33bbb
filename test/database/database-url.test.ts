import t from 'tap'
import { parseDatabaseUrl } from '../../src/database/database-url.ts'

const plain = { wantsPrimary: false, tls: {} }

const cases: [text: string, hosts: [url: string, name: string][], more: object][] = [
  ['postgres://h', [['postgres://h', 'h:5432']], plain],
  ['postgres:///db', [['postgres:///db', 'localhost:5432']], plain],
  [
    'postgres://u:p%2F@h1:5433,h2/db?application_name=x&target_session_attrs=read-write',
    [
      ['postgres://u:p%2F@h1:5433/db?application_name=x', 'h1:5433'],
      ['postgres://u:p%2F@h2/db?application_name=x', 'h2:5432'],
    ],
    { ...plain, wantsPrimary: true },
  ],
  [
    'postgres://u@h/db?target_session_attrs=primary',
    [['postgres://u@h/db', 'h:5432']],
    { ...plain, wantsPrimary: true },
  ],
  [
    'postgres://u@[::1]:7,%2Frun%2Fpg/db',
    [
      ['postgres://u@[::1]:7/db', '[::1]:7'],
      ['postgres://u@%2Frun%2Fpg/db', '/run/pg'],
    ],
    { ...plain, wantsPrimary: true },
  ],
  [
    'postgres://u@/db?host=/run/pg&sslmode=verify-full&sslrootcert=%2Fa%20b&sslcert=/c&sslkey=/k',
    [['postgres://u@/db?host=/run/pg', '/run/pg']],
    {
      wantsPrimary: false,
      tls: { mode: 'verify-full', rootFile: '/a b', certificateFile: '/c', keyFile: '/k' },
    },
  ],
]

for (const [text, hosts, more] of cases) {
  t.test(text, async (t) => {
    const url = parseDatabaseUrl(text)
    t.match(url, more)
    const found = typeof url === 'string' ? [] : url.hosts.map((host) => [host.url, host.name])
    t.strictSame(found, hosts)
  })
}
