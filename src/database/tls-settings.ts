/** How a connection is kept from others, as libpq names it. */
export const tlsModes = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const

export type TlsMode = (typeof tlsModes)[number]

/** What is said of TLS; the files are PEM. */
export interface TlsSettings {
  mode?: string | undefined
  rootFile?: string | undefined
  certificateFile?: string | undefined
  keyFile?: string | undefined
}

/** The settings that say each, and what a URL calls the same. */
export const tlsNames = {
  mode: ['DATABASE_TLS_MODE', 'sslmode'],
  rootFile: ['DATABASE_TLS_ROOT_FILE', 'sslrootcert'],
  certificateFile: ['DATABASE_TLS_CERTIFICATE_FILE', 'sslcert'],
  keyFile: ['DATABASE_TLS_KEY_FILE', 'sslkey'],
} as const

const keys = Object.keys(tlsNames) as (keyof TlsSettings)[]

/** What the settings and a URL say together. */
export function mergeTls(settings: TlsSettings, ofUrl: TlsSettings): TlsSettings {
  return Object.fromEntries(keys.map((key) => [key, settings[key] ?? ofUrl[key]]))
}

/** What is wrong with what the settings and the URL in `urlName` say of TLS, a sentence each. */
export function tlsFaults(settings: TlsSettings, ofUrl: TlsSettings, urlName: string): string[] {
  const contradictions = keys.flatMap((key) => {
    const [one, other] = [settings[key], ofUrl[key]]
    const [setting, parameter] = tlsNames[key]
    if (one === undefined || other === undefined || one === other) return []
    return `${setting} must not contradict the ${parameter} in ${urlName}: leave one of them out`
  })
  const { mode, rootFile, certificateFile, keyFile } = mergeTls(settings, ofUrl)
  const files = keys.filter((key) => key !== 'mode' && (settings[key] ?? ofUrl[key]) !== undefined)
  const faults: string[] = []
  if ((mode === undefined || mode === 'disable') && files[0] !== undefined) {
    faults.push(`${tlsNames[files[0]][0]} needs a DATABASE_TLS_MODE that uses TLS`)
  } else if (rootFile !== undefined && (mode === 'allow' || mode === 'prefer')) {
    faults.push(
      `DATABASE_TLS_ROOT_FILE is not looked at when DATABASE_TLS_MODE is ${mode}: choose verify-ca or verify-full`,
    )
  }
  if (mode === 'verify-ca' && rootFile === undefined) {
    faults.push('DATABASE_TLS_MODE is verify-ca, which needs DATABASE_TLS_ROOT_FILE')
  }
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    faults.push('DATABASE_TLS_CERTIFICATE_FILE and DATABASE_TLS_KEY_FILE need each other')
  }
  return [...contradictions, ...faults]
}
