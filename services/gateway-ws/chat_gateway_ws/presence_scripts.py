"""What Redis does with presence in one step: the scripts behind `presence_store.py`.

    presence:gateways         sorted set: gateway -> Unix second at which its lease ends
    presence:gateway:{id}     set: the users with a hold of this gateway
    presence:turn:{id}        number of the gateway's last call
    presence:user:{id}        hash: gateway -> `open`, or the Unix second at which the hold ends (grace)
    presence:told:{id}        hash: what others were told last (`state`), when (`last`, `before` that),
                              and when the last socket closed (`seen`)
    presence:due              sorted set: user -> Unix second at which somebody has to look at them
    presence:last-seen        sorted set: user -> Unix second, not stored in auth yet
    presence:epoch            changes when Redis has forgotten everything

A user is online while a gateway with a running lease has a hold on them. Where that differs from what others
were told, the user is due: whichever gateway comes first announces it, and the announcement and its record
are one step, so it happens once however many try and wherever one dies.

Time is always the time of Redis. All keys live on one server, so the scripts build their names themselves.
"""

KEY_SECONDS = 3600
"""How long a key outlives the last gateway that cared for it."""

_COMMON = f"""
local TTL = {KEY_SECONDS}
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function text(moment) return string.format('%.6f', moment) end

local function lives(gateway)
  local lease = redis.call('ZSCORE', 'presence:gateways', gateway)
  return lease and tonumber(lease) > now
end

local function set_due(user, moment)
  redis.call('ZADD', 'presence:due', text(moment), user)
  redis.call('EXPIRE', 'presence:due', TTL)
end
"""

_PLAN = """
-- Returns whether the user is online, and when the last of the holds that are ending will have ended.
local function look(user)
  local key, online, ending = 'presence:user:' .. user, false, nil
  local holds = redis.call('HGETALL', key)
  for i = 1, #holds, 2 do
    local gateway, hold = holds[i], holds[i + 1]
    local ends = hold ~= 'open' and tonumber(hold) or nil
    if ends and ends <= now then
      redis.call('HDEL', key, gateway)
      redis.call('SREM', 'presence:gateway:' .. gateway, user)
    elseif lives(gateway) then
      online = true
      if ends then ending = math.max(ending or 0, ends) end
    end
  end
  return online, ending
end

-- Decides when to look at the user again; returns whether a change is to be announced now. The caller has
-- `claim` seconds for that before the user is due again.
local function plan(user, window, claim)
  local online, next_look = look(user)
  local told = redis.call('HMGET', 'presence:told:' .. user, 'state', 'before')
  local announce = false
  if (told[1] == 'online') ~= online then
    local allowed = (tonumber(told[2]) or 0) + window
    announce = allowed <= now
    next_look = announce and now + claim or allowed
  end
  if next_look then set_due(user, next_look) else redis.call('ZREM', 'presence:due', user) end
  return announce
end
"""

SYNC = (
    _COMMON
    + _PLAN
    + """
-- Renews the lease of a gateway and takes in what changed there.
-- ARGV: gateway, turn, lease, grace, window, claim, [[user, whether a socket is open, epoch], ...]
-- The epoch is the one in which the user was told of before, '' for a newcomer.
-- Returns whether the lease was still running, the epoch, and the users with a socket to announce.
local gateway, turn, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local grace, window, claim = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local turn_key, users_key = 'presence:turn:' .. gateway, 'presence:gateway:' .. gateway
if turn <= (tonumber(redis.call('GET', turn_key)) or 0) then
  return redis.error_reply('OVERTAKEN by a later call of the same gateway')
end
redis.call('SET', turn_key, turn, 'EX', TTL)

local was_running = lives(gateway)
redis.call('ZADD', 'presence:gateways', text(now + lease), gateway)
redis.call('EXPIRE', 'presence:gateways', TTL)
local epoch = redis.call('GET', 'presence:epoch') or (gateway .. ':' .. text(now))
redis.call('SET', 'presence:epoch', epoch, 'EX', TTL)

-- Takes in one change; returns false where it says nothing new: the end of a hold that had ended before.
local function take_in(user, open, known_in)
  local user_key, told_key = 'presence:user:' .. user, 'presence:told:' .. user
  if known_in ~= '' and known_in ~= epoch then
    redis.call('HSETNX', told_key, 'state', 'online')  -- Redis has forgotten it; the others have not
  elseif not open and redis.call('HEXISTS', user_key, gateway) == 0 then
    return false
  end
  if open then
    redis.call('HSET', user_key, gateway, 'open')
  else
    redis.call('HSET', user_key, gateway, text(now + grace))
    redis.call('HSET', told_key, 'seen', text(now))
  end
  redis.call('SADD', users_key, user)
  redis.call('EXPIRE', user_key, TTL)
  redis.call('EXPIRE', told_key, TTL)
  return true
end

local announce = {}
for _, change in ipairs(cjson.decode(ARGV[7])) do
  local user, open, known_in = change[1], change[2], change[3]
  -- The gateway knows the rooms of a user who is there; who has left is for a patrol.
  if take_in(user, open, known_in) and plan(user, window, open and claim or 0) and open then
    announce[#announce + 1] = user
  end
end
redis.call('EXPIRE', users_key, TTL)
return {was_running and 1 or 0, epoch, announce}
"""
)

PATROL = (
    _COMMON
    + _PLAN
    + """
-- Ends the holds of gateways whose lease has ended, and claims users who are due.
-- ARGV: gateway, limit, grace, window, claim. Returns the users to announce and whether more may be due.
local limit, grace, window, claim = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not lives(ARGV[1]) then return {{}, 0} end  -- who was away has to come back before it judges others

local function end_holds(gateway, lease)
  local users_key = 'presence:gateway:' .. gateway
  local users = redis.call('SPOP', users_key, limit)
  for _, user in ipairs(users) do
    local told_key = 'presence:told:' .. user
    redis.call('HDEL', 'presence:user:' .. user, gateway)
    redis.call('HSET', told_key, 'seen', lease)
    redis.call('EXPIRE', told_key, TTL)
    set_due(user, now + grace)
  end
  if redis.call('EXISTS', users_key) == 0 then
    redis.call('ZREM', 'presence:gateways', gateway)
  end
  return #users
end

local ended = redis.call('ZRANGEBYSCORE', 'presence:gateways', '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, 1)
local swept = ended[1] and end_holds(ended[1], ended[2]) or 0

local announce = {}
local due = redis.call('ZRANGEBYSCORE', 'presence:due', '-inf', text(now), 'LIMIT', 0, limit)
for _, user in ipairs(due) do
  if plan(user, window, claim) then announce[#announce + 1] = user end
end
return {announce, (swept == limit or #due == limit) and 1 or 0}
"""
)

ANNOUNCE = (
    _COMMON
    + _PLAN
    + """
-- Tells the rooms of users what is true now, one message per room, where it is news and may be told.
-- ARGV: window, claim, [[user, [room, ...]], ...]. Returns how many came and how many went.
local window, claim = tonumber(ARGV[1]), tonumber(ARGV[2])
local rooms, count = {}, {['user-online'] = 0, ['user-offline'] = 0}

-- Returns the event that is true of the user from now on, and notes that it was told.
local function tell(user)
  local told_key = 'presence:told:' .. user
  local told = redis.call('HMGET', told_key, 'state', 'last', 'seen')
  local came = told[1] ~= 'online'
  local state = came and 'online' or 'offline'
  redis.call('HSET', told_key, 'state', state, 'before', told[2] or 0, 'last', text(now))
  if came then
    redis.call('EXPIRE', told_key, TTL)
    return 'user-online'
  end
  redis.call('EXPIRE', told_key, math.ceil(window) + 1)
  redis.call('ZADD', 'presence:last-seen', told[3] or text(now), user)
  redis.call('EXPIRE', 'presence:last-seen', TTL)
  return 'user-offline'
end

for _, item in ipairs(cjson.decode(ARGV[3])) do
  local user = item[1]
  if plan(user, window, claim) then
    local event = tell(user)
    count[event] = count[event] + 1
    for _, room in ipairs(item[2]) do
      rooms[room] = rooms[room] or {}
      rooms[room][event] = rooms[room][event] or {}
      table.insert(rooms[room][event], user)
    end
    plan(user, window, claim)
  end
end
for room, events in pairs(rooms) do
  redis.call('PUBLISH', 'room:' .. room, cjson.encode({presence = events}))
end
return {count['user-online'], count['user-offline']}
"""
)

STORED = """
-- Forgets moments that are stored, unless a later one has replaced them. ARGV: user, moment, ...
for i = 1, #ARGV, 2 do
  local noted = redis.call('ZSCORE', 'presence:last-seen', ARGV[i])
  if noted and tonumber(noted) <= tonumber(ARGV[i + 1]) then
    redis.call('ZREM', 'presence:last-seen', ARGV[i])
  end
end
"""
