import { type TlsSettings, tlsModes } from './tls-settings.ts'

/** One of the hosts that a URL lists. */
export interface UrlHost {
  /** The same URL with this host alone, and without what is told here beside it. */
  url: string
  /** Host and port, or the folder of a socket. */
  name: string
  isSocket: boolean
}

/** What a URL of PostgreSQL says. */
export interface DatabaseUrl {
  hosts: readonly UrlHost[]
  /** Whether it says that it is about a PostgreSQL that can be written to. */
  wantsPrimary: boolean
  tls: TlsSettings
}

/** What a URL of PostgreSQL must be, as far as it is not told more closely. */
export const databaseUrlMustBe =
  'a URL like postgres://user:password@host:5432/database, with / ? # @ % in the password percent-encoded'

const tlsParameters = {
  sslmode: 'mode',
  sslrootcert: 'rootFile',
  sslcert: 'certificateFile',
  sslkey: 'keyFile',
} as const

/** Parameters that say nothing which is not so anyhow. */
const idleParameters = new Set(['target_session_attrs', 'uselibpqcompat', 'load_balance_hosts'])

const primaryAttributes = ['read-write', 'primary']

/** Reads a URL, which may list several hosts as libpq takes them. Answers what it must be where it is not right. */
export function parseDatabaseUrl(text: string): DatabaseUrl | string {
  const [, scheme, user = '', hostList = '', path = '', query] =
    /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^/?#]*)([^?]*)(?:\?(.*))?$/is.exec(text) ?? []
  if (scheme === undefined) return databaseUrlMustBe
  const parameters = query === undefined ? [] : query.split('&')
  const kept = parameters.filter((one) => !isTaken(nameOf(one)))
  const rest = `${path}${kept.length === 0 ? '' : `?${kept.join('&')}`}`
  const hosts: UrlHost[] = []
  for (const host of hostList.split(',')) {
    const url = `${scheme}${user}${host}${rest}`
    const parsed = parseOne(url)
    if (parsed === undefined || (host === '' && hostList !== '')) return databaseUrlMustBe
    hosts.push({ url, ...describeHost(parsed) })
  }
  const values = new URLSearchParams(query)
  const fault = faultOf(values)
  if (fault !== undefined) return fault
  return {
    hosts,
    wantsPrimary: hosts.length > 1 || values.has('target_session_attrs'),
    tls: Object.fromEntries(
      Object.entries(tlsParameters).map(([name, key]) => [key, values.get(name) ?? undefined]),
    ),
  }
}

/** The URL of one host, read as it was meant: a password with a bare "/" or "?" ends up in the path. */
function parseOne(text: string): URL | undefined {
  // Without a host the URL means a socket of this machine.
  const url = URL.parse(text) ?? URL.parse(text.replace('@/', '@localhost/'))
  if (url === null || `${url.pathname}${url.search}${url.hash}`.includes('@')) return undefined
  return url
}

function describeHost(url: URL): Pick<UrlHost, 'name' | 'isSocket'> {
  const host = url.searchParams.get('host') ?? (decode(url.hostname) || 'localhost')
  const isSocket = host.startsWith('/')
  const port = url.searchParams.get('port') ?? (url.port || '5432')
  return { name: isSocket ? host : `${host}:${port}`, isSocket }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function nameOf(parameter: string): string {
  return decode(parameter.split('=', 1)[0] ?? '')
}

function isTaken(name: string): boolean {
  return name in tlsParameters || idleParameters.has(name)
}

function faultOf(values: URLSearchParams): string | undefined {
  const unknown = [...values.keys()].find((name) => name.startsWith('ssl') && !isTaken(name))
  if (unknown !== undefined) {
    return `a URL that says of TLS no more than ${Object.keys(tlsParameters).join(', ')}; it says ${JSON.stringify(unknown)}`
  }
  const mode = values.get('sslmode')
  if (mode !== null && !tlsModes.some((one) => one === mode)) {
    return `a URL whose sslmode is one of ${tlsModes.join(', ')}`
  }
  const attributes = values.get('target_session_attrs')
  if (attributes !== null && !primaryAttributes.includes(attributes)) {
    return `a URL whose target_session_attrs, if it says any, are ${primaryAttributes.join(' or ')}`
  }
  if (values.get('host')?.includes(',')) return 'a URL that lists its hosts before the database'
  return undefined
}
