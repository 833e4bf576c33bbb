import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import { type TlsMode, type TlsSettings, tlsNames } from './tls-settings.ts'

/** TLS as the driver takes it. The key is inside the context, where nothing prints it. */
export interface TlsOptions {
  secureContext: SecureContext
  rejectUnauthorized: boolean
  checkServerIdentity?: () => undefined
}

/** How connections may be made, in the order in which it is tried: by TLS, or without. */
export type TlsWays = readonly (TlsOptions | false)[]

/**
 * Reads the files. Undefined where nothing is said: then the driver does as its environment says, and without TLS if
 * that says nothing. Throws, with the name of the setting, where a file cannot be used.
 */
export async function readTls(tls: TlsSettings): Promise<TlsWays | undefined> {
  const mode = tls.mode as TlsMode | undefined
  if (mode === undefined) return undefined
  if (mode === 'disable') return [false]
  const [ca, cert, key] = await Promise.all([
    readPem('rootFile', tls),
    readPem('certificateFile', tls),
    readPem('keyFile', tls),
  ])
  const secureContext = createContext({ ca, cert, key })
  // As libpq has it, a root that is given is looked at.
  const checksChain = mode.startsWith('verify') || (mode === 'require' && ca !== undefined)
  const options: TlsOptions = {
    secureContext,
    rejectUnauthorized: checksChain,
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  }
  if (mode === 'allow') return [false, options]
  return mode === 'prefer' ? [options, false] : [options]
}

async function readPem(
  key: 'rootFile' | 'certificateFile' | 'keyFile',
  tls: TlsSettings,
): Promise<Buffer | undefined> {
  const path = tls[key]
  if (path === undefined) return undefined
  const [setting] = tlsNames[key]
  const text = await attempt(`${setting} cannot be read`, () => readFile(path))
  if (!text.includes('-----BEGIN ')) throw new Error(`${setting}, ${path}, is no PEM file`)
  // Node passes over a root that it cannot read, and trusts nobody then.
  if (key !== 'keyFile') await attempt(`${setting} cannot be used`, () => new X509Certificate(text))
  return text
}

interface Pems {
  ca: Buffer | undefined
  cert: Buffer | undefined
  key: Buffer | undefined
}

function createContext(pems: Pems): SecureContext {
  try {
    return createSecureContext(pems)
  } catch (error) {
    const { message } = error as Error
    const reason = /mismatch/.test(message)
      ? 'does not belong to DATABASE_TLS_CERTIFICATE_FILE'
      : `cannot be used: ${message}`
    throw new Error(`DATABASE_TLS_KEY_FILE ${reason}`, { cause: error })
  }
}

async function attempt<Result>(
  failure: string,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw new Error(`${failure}: ${(error as Error).message}`, { cause: error })
  }
}

/** Why certificates did not suffice, in words for an operator; undefined for an error that is about something else. */
export function explainTlsError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? String(error.code) : ''
  const { message } = error
  if (message === 'The server does not support SSL connections') {
    return 'it does not offer TLS, which DATABASE_TLS_MODE asks for'
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is for another host (${message}). Connect by a name in the certificate, or set DATABASE_TLS_MODE to verify-ca`
  }
  if (code.startsWith('CERT_HAS_') || code.startsWith('CERT_NOT_')) {
    return `its certificate is not valid now (${message})`
  }
  if (untrusted.test(code)) {
    return `its certificate comes from nobody that DATABASE_TLS_ROOT_FILE names (${message})`
  }
  if (/^ERR_SSL_.*ALERT/.test(code)) {
    return `it does not accept DATABASE_TLS_CERTIFICATE_FILE (${message})`
  }
  if (code === '28000' && /client certificate/.test(message)) {
    return `it asks for a certificate that it knows: ${message}. Set DATABASE_TLS_CERTIFICATE_FILE and DATABASE_TLS_KEY_FILE`
  }
  return undefined
}

const untrusted = /SELF_SIGNED|UNABLE_TO_|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED|INVALID_CA/
