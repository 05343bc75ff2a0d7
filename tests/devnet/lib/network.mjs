/*
 * network.mjs - a chain with all contracts of Filecoin Onchain Cloud on it
 *
 * On the chain ids of the live networks the contracts stand at the addresses
 * they have there (section 1 of the reference), so that what was signed for
 * those networks holds here as well; elsewhere at addresses of their own.
 */
import { getAddress } from 'viem/utils';

import { FilecoinPay } from '../contracts/pay.mjs';
import { Fwss } from '../contracts/fwss.mjs';
import { PdpVerifier } from '../contracts/pdp.mjs';
import { Registry } from '../contracts/registry.mjs';
import { Token } from '../contracts/token.mjs';
import { Endorsements, Multicall, SessionKeys, StateView }
	from '../contracts/view.mjs';
import { Chain } from './chain.mjs';
import { addressOf } from './keys.mjs';

const MULTICALL = '0xcA11bde05977b3631167028862bE2a173976CA11';

const LIVE = {
	314: {
		token: '0x80B98d3aa09ffff255c3ba4A241111Ff1262F045',
		fwss: '0x8408502033C418E1bbC97cE9ac48E5528F371A9f',
		view: '0xdDd8F083a3fe9C66547D46bee24e5AaF56BCa0ab',
		pdp: '0xBADd0B92C1c71d02E7d520f64c0876538fa2557F',
		pay: '0x23b1e018F08BB982348b15a86ee926eEBf7F4DAa',
		registry: '0xf55dDbf63F1b55c3F1D4FA7e339a68AB7b64A5eB',
		sessions: '0x74FD50525A958aF5d484601E252271f9625231aB',
		endorsements: '0x59eFa2e8324E1551d46010d7B0B140eE2F5c726b',
	},
	314159: {
		token: '0xb3042734b608a1B16e9e86B374A3f3e389B4cDf0',
		fwss: '0x02925630df557F957f70E112bA06e50965417CA0',
		view: '0x9BF9e67e83EC8613883FDdDec4D3b38AEE937177',
		pdp: '0x85e366Cf9DD2c0aE37E963d9556F5f4718d6417C',
		pay: '0x09a0fDc2723fAd1A7b8e3e00eE5DF73841df55a0',
		registry: '0x839e5c9988e4e9977d40708d0094103c0839Ac9D',
		sessions: '0x518411c2062E119Aaf7A8B12A2eDf9a939347655',
		endorsements: '0xAA2f7CfC7ecAc616EC9C1f6d700fAd19087FAC84',
	},
};

const NAMES = ['token', 'fwss', 'view', 'pdp', 'pay', 'registry', 'sessions',
	'endorsements'];

/** Epochs; the defaults are those of foc-devnet. */
const PROVING = { maxProvingPeriod: 120n, challengeWindow: 10n,
	challengeFinality: 5n };

export function makeNetwork({ chainId = 31415926, head, clock, addresses,
	proving } = {}) {
	const chain = new Chain({ chainId, head, clock });
	const at = (name) => getAddress(addresses?.[name] ?? LIVE[chainId]?.[name] ??
		addressOf(`contract ${name}`));
	const places = Object.fromEntries(NAMES.map((n) => [n, at(n)]));
	const config = { ...PROVING, ...proving };

	const token = new Token(chain, places.token);
	const pay = new FilecoinPay(chain, places.pay);
	const pdp = new PdpVerifier(chain, places.pdp, config);
	const registry = new Registry(chain, places.registry);
	const sessions = new SessionKeys(chain, places.sessions);
	const endorsements = new Endorsements(chain, places.endorsements);
	const fwss = new Fwss(chain, places.fwss, config);
	const view = new StateView(chain, places.view, fwss);
	const multicall = new Multicall(chain, MULTICALL);
	fwss.connect({ view, pdp, pay, token, registry, sessions,
		beneficiary: addressOf('filbeam') });
	return { chain, token, pay, pdp, registry, sessions, endorsements, fwss,
		view, multicall, config };
}
