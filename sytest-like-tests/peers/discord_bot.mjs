// An unmodified discord.js bot, driven over standard input and output by one JSON object a line.
//
// In:  {"id": 1, "cmd": "send", "args": {...}}          Out: {"reply": 1, "ok": true, "value": ...}
// Out, unasked: {"event": "messageCreate", "data": {...}} for everything the library emits.
// The only thing that differs from a bot on Discord is the `rest.api` option below.
// Environment: NEXUS_API (http://HOST:PORT/api), NEXUS_BOT_TOKEN. discord.js is found by NODE_PATH.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { Client, GatewayIntentBits, Partials } = require('discord.js');

const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const emit = (event, data) => write({ event, data });

const client = new Client({
  intents: [
    GatewayIntentBits.Guilds,
    GatewayIntentBits.GuildMembers,
    GatewayIntentBits.GuildMessages,
    GatewayIntentBits.GuildMessageReactions,
    GatewayIntentBits.GuildMessageTyping,
    GatewayIntentBits.GuildInvites,
    GatewayIntentBits.MessageContent,
  ],
  partials: [Partials.Message, Partials.Channel, Partials.Reaction, Partials.User],
  rest: { api: process.env.NEXUS_API },
});

// --- what the library tells a bot -----------------------------------------------------------

const plainMessage = (m) => ({
  id: m.id,
  channel_id: m.channelId,
  guild_id: m.guildId,
  content: m.content,
  author: m.author && { id: m.author.id, username: m.author.username, bot: m.author.bot },
  edited: m.editedTimestamp ?? null,
  reply_to: m.reference?.messageId ?? null,
});
const plainReaction = (r, user) => ({
  message_id: r.message.id,
  emoji: r.emoji.id ?? r.emoji.name,
  user_id: user.id,
});
const plainChannel = (c) => ({ id: c.id, name: c.name, type: c.type, guild_id: c.guildId ?? null });

client.on('clientReady', () => emit('clientReady', {
  user: { id: client.user.id, username: client.user.username },
  guilds: [...client.guilds.cache.keys()],
}));
client.on('messageCreate', (m) => emit('messageCreate', plainMessage(m)));
client.on('messageUpdate', (_before, m) => emit('messageUpdate', plainMessage(m)));
client.on('messageDelete', (m) => emit('messageDelete', { id: m.id, channel_id: m.channelId }));
client.on('messageReactionAdd', (r, u) => emit('messageReactionAdd', plainReaction(r, u)));
client.on('messageReactionRemove', (r, u) => emit('messageReactionRemove', plainReaction(r, u)));
client.on('messageReactionRemoveAll', (m) => emit('messageReactionRemoveAll', { message_id: m.id }));
client.on('typingStart', (t) => emit('typingStart', { channel_id: t.channel.id, user_id: t.user.id }));
client.on('channelCreate', (c) => emit('channelCreate', plainChannel(c)));
client.on('channelUpdate', (_before, c) => emit('channelUpdate', plainChannel(c)));
client.on('channelDelete', (c) => emit('channelDelete', plainChannel(c)));
client.on('guildCreate', (g) => emit('guildCreate', { id: g.id, name: g.name }));
client.on('guildDelete', (g) => emit('guildDelete', { id: g.id }));
client.on('guildMemberAdd', (m) => emit('guildMemberAdd', { user_id: m.id, guild_id: m.guild.id }));
client.on('guildMemberRemove', (m) => emit('guildMemberRemove', { user_id: m.id, guild_id: m.guild.id }));
client.on('guildMemberUpdate', (_before, m) => emit('guildMemberUpdate', {
  user_id: m.id, roles: [...m.roles.cache.keys()], nick: m.nickname,
}));
client.on('roleCreate', (r) => emit('roleCreate', { id: r.id, name: r.name }));
client.on('roleUpdate', (_before, r) => emit('roleUpdate', { id: r.id, name: r.name, position: r.position }));
client.on('roleDelete', (r) => emit('roleDelete', { id: r.id }));
client.on('inviteCreate', (i) => emit('inviteCreate', { code: i.code }));

// The life of the connection, so that a test can tell a resume from a new session.
client.on('shardReady', (shard) => emit('shardReady', { shard }));
client.on('shardResume', (shard, replayed) => emit('shardResume', { shard, replayed }));
client.on('shardReconnecting', (shard) => emit('shardReconnecting', { shard }));
client.on('shardDisconnect', (closed) => emit('shardDisconnect', { code: closed.code }));
client.on('raw', (packet) => {
  if (packet.t === 'READY' || packet.t === 'RESUMED') emit(`raw:${packet.t}`, { s: packet.s });
});
client.on('debug', (text) => emit('debug', { text }));
client.on('warn', (text) => emit('warn', { text }));
client.on('error', (error) => emit('error', { text: String(error?.stack ?? error) }));
process.on('unhandledRejection', (error) => emit('error', { text: `unhandled: ${error?.stack ?? error}` }));

// --- what a bot can be told to do -------------------------------------------------------------

const channelOf = ({ channel }) => client.channels.fetch(channel);
const messageOf = async (args) => (await channelOf(args)).messages.fetch(args.message);
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Sends as a careful bot does: on a lost connection again with the same nonce, which makes it idempotent. */
async function sendSurely(channel, content, nonce) {
  for (;;) {
    try {
      return await channel.send({ content, nonce, enforceNonce: true });
    } catch (error) {
      if (error.status !== undefined && error.status < 500) throw error;
      await pause(50);
    }
  }
}

const commands = {
  async send(args) {
    const { content, nonce } = args;
    const options = nonce === undefined ? { content } : { content, nonce, enforceNonce: true };
    return plainMessage(await (await channelOf(args)).send(options));
  },
  /** Sends `count` messages one after another; each acknowledged one is reported as event "acked". */
  async stream(args) {
    const channel = await channelOf(args);
    for (let i = 0; i < args.count; i += 1) {
      const content = `${args.prefix}${i}`;
      emit('acked', plainMessage(await sendSurely(channel, content, content)));
    }
    return args.count;
  },
  async reply(args) { return plainMessage(await (await messageOf(args)).reply(args.content)); },
  async edit(args) { return plainMessage(await (await messageOf(args)).edit(args.content)); },
  async delete(args) { await (await messageOf(args)).delete(); return null; },
  async react(args) { await (await messageOf(args)).react(args.emoji); return null; },
  async unreact(args) {
    const message = await messageOf(args);
    await message.reactions.resolve(args.emoji).users.remove(client.user.id);
    return null;
  },
  async fetch(args) {
    const { limit, before, after, around } = args;
    const page = await (await channelOf(args)).messages.fetch({ limit, before, after, around, cache: false });
    return [...page.values()].map(plainMessage);
  },
  async typing(args) { await (await channelOf(args)).sendTyping(); return null; },
  async createChannel(args) {
    const guild = await client.guilds.fetch(args.guild);
    const { name, type, parent } = args;
    return plainChannel(await guild.channels.create({ name, type, parent }));
  },
  async editChannel(args) {
    const { name, topic } = args;
    return plainChannel(await (await channelOf(args)).edit({ name, topic }));
  },
  async deleteChannel(args) { await (await channelOf(args)).delete(); return null; },
  async createInvite(args) { return { code: (await (await channelOf(args)).createInvite()).code }; },
  async createRole(args) {
    const guild = await client.guilds.fetch(args.guild);
    const { name, permissions } = args;
    const role = await guild.roles.create({ name, permissions: BigInt(permissions), reason: 'a test' });
    return { id: role.id, name: role.name, position: role.position };
  },
  async editRole(args) {
    const role = (await client.guilds.fetch(args.guild)).roles.cache.get(args.role);
    await role.edit({ name: args.name });
    return role.name;
  },
  async moveRole(args) {
    const role = (await client.guilds.fetch(args.guild)).roles.cache.get(args.role);
    await role.setPosition(args.position);
    return role.guild.roles.cache.map((r) => ({ name: r.name, position: r.position }));
  },
  async deleteRole(args) {
    await (await client.guilds.fetch(args.guild)).roles.cache.get(args.role).delete();
    return null;
  },
  async giveRole(args) {
    const member = await (await client.guilds.fetch(args.guild)).members.fetch(args.member);
    return [...(await member.roles.add(args.role)).roles.cache.keys()];
  },
  async overwrite(args) {
    const channel = await channelOf(args);
    await channel.permissionOverwrites.edit(args.target, args.flags);
    return null;
  },
  /** What the library makes of its cache, without asking the server. */
  permissionsIn(args) {
    const guild = client.guilds.cache.get(args.guild);
    const bits = guild.members.cache.get(args.member).permissionsIn(guild.channels.cache.get(args.channel));
    return bits.bitfield.toString();
  },
  knownChannels(args) { return [...client.guilds.cache.get(args.guild).channels.cache.keys()]; },
  async destroy() { await client.destroy(); return null; },
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, cmd, args } = JSON.parse(line);
  try {
    write({ reply: id, ok: true, value: (await commands[cmd](args ?? {})) ?? null });
  } catch (error) {
    const { code, status, message } = error;
    write({ reply: id, ok: false, error: { code, status, message, text: String(error?.stack ?? error) } });
  }
}).on('close', () => process.exit(0));

client.login(process.env.NEXUS_BOT_TOKEN).catch((error) => {
  emit('error', { text: `login: ${error?.stack ?? error}` });
  process.exitCode = 1;
});
