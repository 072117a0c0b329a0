// The address that workers are told to dial, from the one listened at: whoever listens at any has many, and that of any is
// none to dial. Pure; the machine's addresses are handed in.

import type { NetworkInterfaceInfo } from 'node:os';

export interface JoinUrl {
  readonly url: string;
  /** The coordinator listens at all addresses of its machine; the URL has one of them. */
  readonly isAny: boolean;
}

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Bridges of containers and virtual machines, which other machines do not see. */
const virtual = /^(docker|br-|veth|virbr|vmnet|vboxnet|cni|flannel|cali|lxc|lxd)/;

export function joinUrlOf(
  scheme: 'ws' | 'wss',
  listen: { readonly host: string; readonly port: number },
  interfaces: Interfaces,
): JoinUrl {
  const isAny = listen.host === '0.0.0.0' || /^[0:]+$/.test(listen.host);
  const host = isAny ? reachable(interfaces, listen.host !== '0.0.0.0') : listen.host;
  const inUrl = host.includes(':') ? `[${host}]` : host;
  return { url: `${scheme}://${inUrl}:${listen.port}`, isAny };
}

/** Whoever listens at :: is reached by IPv4 as well. */
function reachable(interfaces: Interfaces, hasV6: boolean): string {
  const outer = Object.entries(interfaces)
    .flatMap(([name, addresses]) =>
      (addresses ?? []).map((each) => ({ ...each, isVirtual: virtual.test(name) })),
    )
    // One of the link alone needs the name of an interface with it.
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address));
  const v4 = outer.filter(({ family }) => family === 'IPv4');
  const v6 = hasV6 ? outer.filter(({ family }) => family === 'IPv6') : [];
  const best = [...v4, ...v6].sort((a, b) => Number(a.isVirtual) - Number(b.isVirtual))[0];
  return best?.address ?? '127.0.0.1';
}
