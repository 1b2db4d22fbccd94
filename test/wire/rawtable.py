"""The request and response bodies that rawkafka.py speaks, as text.

One entry an API: its key, name, the versions described here, the first flexible version, then the
request (">") and the response ("<"). A field is

    name:type[=default][#tag][/versions]

with the types bool, i8, i16, i32, i64, uuid, str, bytes, [type] and [fields]. Strings, bytes and
arrays may be null (None) wherever they stand; whether Kafka lets them be null there is the
broker's concern. "/3+" means from version 3, "/0-2" up to 2. A field with a tag is written only
when it is given. This table is deliberately not derived from weir's own: the two are checks on
each other.
"""

MESSAGES = """
0 Produce 3-13 flexible 9
> transactional_id:str=null acks:i16=-1 timeout_ms:i32=30000
  topics:[name:str/0-12 id:uuid/13+ partitions:[index:i32 records:bytes]]
< topics:[name:str/0-12 id:uuid/13+ partitions:[index:i32 error:i16 base_offset:i64
    log_append_time_ms:i64 log_start_offset:i64/5+
    record_errors:[batch_index:i32 message:str]/8+ error_message:str/8+
    current_leader:{id:i32 epoch:i32}#0/10+]]
  throttle_ms:i32
  nodes:[id:i32 host:str port:i32 rack:str]#0/10+

1 Fetch 4-18 flexible 12
> replica_id:i32=-1/0-14 max_wait_ms:i32 min_bytes:i32 max_bytes:i32=52428800 isolation:i8
  session_id:i32/7+ session_epoch:i32=-1/7+
  topics:[name:str/0-12 id:uuid/13+ partitions:[index:i32 leader_epoch:i32=-1/9+ offset:i64
    last_fetched_epoch:i32=-1/12+ log_start_offset:i64=-1/5+ max_bytes:i32=1048576
    directory:uuid#0/17+ high_watermark:i64#1/18+]]
  forgotten:[name:str/0-12 id:uuid/13+ partitions:[i32]]/7+
  rack:str/11+
  cluster_id:str#0/12+ replica_state:{id:i32 epoch:i64}#1/15+
< throttle_ms:i32 error:i16/7+ session_id:i32/7+
  topics:[name:str/0-12 id:uuid/13+ partitions:[index:i32 error:i16 high_watermark:i64
    last_stable_offset:i64 log_start_offset:i64/5+ aborted:[producer_id:i64 first_offset:i64]
    preferred_replica:i32/11+ records:bytes
    diverging:{epoch:i32 end_offset:i64}#0/12+ current_leader:{id:i32 epoch:i32}#1/12+
    snapshot:{end_offset:i64 epoch:i32}#2/12+]]
  nodes:[id:i32 host:str port:i32 rack:str]#0/16+

2 ListOffsets 0-11 flexible 6
> replica_id:i32=-1 isolation:i8/2+
  topics:[name:str partitions:[index:i32 leader_epoch:i32=-1/4+ timestamp:i64
    offsets_max:i32=1/0]]
  timeout_ms:i32=30000/10+
< throttle_ms:i32/2+
  topics:[name:str partitions:[index:i32 error:i16 offsets:[i64]/0 timestamp:i64/1+ offset:i64/1+
    leader_epoch:i32/4+]]

3 Metadata 0-13 flexible 9
> topics:[id:uuid/10+ name:str] allow_auto_create:bool/4+ cluster_operations:bool/8-10
  topic_operations:bool/8+
< throttle_ms:i32/3+ brokers:[id:i32 host:str port:i32 rack:str/1+] cluster_id:str/2+
  controller_id:i32/1+
  topics:[error:i16 name:str id:uuid/10+ internal:bool/1+
    partitions:[error:i16 index:i32 leader:i32 leader_epoch:i32/7+ replicas:[i32] isr:[i32]
      offline:[i32]/5+]
    operations:i32/8+]
  cluster_operations:i32/8-10 error:i16/13+

8 OffsetCommit 0-10 flexible 8
> group:str generation:i32=-1/1+ member:str/1+ instance:str=null/7+ retention_ms:i64=-1/2-4
  topics:[name:str/0-9 id:uuid/10+ partitions:[index:i32 offset:i64 leader_epoch:i32=-1/6+
    timestamp:i64=-1/1 metadata:str]]
< throttle_ms:i32/3+ topics:[name:str/0-9 id:uuid/10+ partitions:[index:i32 error:i16]]

9 OffsetFetch 0-10 flexible 6
> group:str/0-7 topics:[name:str partitions:[i32]]/0-7
  groups:[group:str member:str=null/9+ member_epoch:i32=-1/9+
    topics:[name:str/0-9 id:uuid/10+ partitions:[i32]]]/8+
  require_stable:bool/7+
< throttle_ms:i32/3+
  topics:[name:str partitions:[index:i32 offset:i64 leader_epoch:i32/5+ metadata:str
    error:i16]]/0-7
  error:i16/2-7
  groups:[group:str topics:[name:str/0-9 id:uuid/10+ partitions:[index:i32 offset:i64
    leader_epoch:i32 metadata:str error:i16]] error:i16]/8+

10 FindCoordinator 0-6 flexible 3
> key:str/0-3 key_type:i8/1+ keys:[str]/4+
< throttle_ms:i32/1+ error:i16/0-3 error_message:str/1-3 id:i32/0-3 host:str/0-3 port:i32/0-3
  coordinators:[key:str id:i32 host:str port:i32 error:i16 error_message:str]/4+

11 JoinGroup 0-9 flexible 6
> group:str session_timeout_ms:i32=30000 rebalance_timeout_ms:i32=30000/1+ member:str
  instance:str=null/5+ protocol_type:str=consumer protocols:[name:str metadata:bytes]
  reason:str=null/8+
< throttle_ms:i32/2+ error:i16 generation:i32 protocol_type:str/7+ protocol:str leader:str
  skip_assignment:bool/9+ member:str members:[member:str instance:str/5+ metadata:bytes]

12 Heartbeat 0-4 flexible 4
> group:str generation:i32 member:str instance:str=null/3+
< throttle_ms:i32/1+ error:i16

13 LeaveGroup 0-5 flexible 4
> group:str member:str/0-2 members:[member:str instance:str=null reason:str=null/5+]/3+
< throttle_ms:i32/1+ error:i16 members:[member:str instance:str error:i16]/3+

14 SyncGroup 0-5 flexible 4
> group:str generation:i32 member:str instance:str=null/3+ protocol_type:str=null/5+
  protocol:str=null/5+ assignments:[member:str assignment:bytes]
< throttle_ms:i32/1+ error:i16 protocol_type:str/5+ protocol:str/5+ assignment:bytes

15 DescribeGroups 0-6 flexible 5
> groups:[str] group_operations:bool/3+
< throttle_ms:i32/1+
  groups:[error:i16 error_message:str/6+ group:str state:str protocol_type:str protocol:str
    members:[member:str instance:str/4+ client_id:str client_host:str metadata:bytes
      assignment:bytes]
    operations:i32/3+]

16 ListGroups 0-5 flexible 3
> states:[str]/4+ types:[str]/5+
< throttle_ms:i32/1+ error:i16 groups:[group:str protocol_type:str state:str/4+ type:str/5+]

18 ApiVersions 0-4 flexible 3
> software_name:str=weir-wire/3+ software_version:str=1.0/3+
< error:i16 apis:[key:i16 min:i16 max:i16] throttle_ms:i32/1+
  supported:[name:str min:i16 max:i16]#0/3+ finalized_epoch:i64#1/3+
  finalized:[name:str max:i16 min:i16]#2/3+ zk_migration:bool#3/3+

19 CreateTopics 0-7 flexible 5
> topics:[name:str partitions:i32=1 replication:i16=1
    assignments:[index:i32 brokers:[i32]] configs:[name:str value:str]]
  timeout_ms:i32=30000 validate_only:bool/1+
< throttle_ms:i32/2+
  topics:[name:str id:uuid/7+ error:i16 error_message:str/1+ partitions:i32/5+ replication:i16/5+
    configs:[name:str value:str read_only:bool source:i8 sensitive:bool]/5+ config_error:i16#0/5+]

20 DeleteTopics 0-6 flexible 4
> topics:[name:str id:uuid]/6+ names:[str]/0-5 timeout_ms:i32=30000
< throttle_ms:i32/1+ topics:[name:str id:uuid/6+ error:i16 error_message:str/5+]

21 DeleteRecords 0-2 flexible 2
> topics:[name:str partitions:[index:i32 offset:i64]] timeout_ms:i32=30000
< throttle_ms:i32 topics:[name:str partitions:[index:i32 low_watermark:i64 error:i16]]

22 InitProducerId 0-5 flexible 2
> transactional_id:str=null timeout_ms:i32=60000 producer_id:i64=-1/3+ epoch:i16=-1/3+
< throttle_ms:i32 error:i16 producer_id:i64 epoch:i16

23 OffsetForLeaderEpoch 0-4 flexible 4
> replica_id:i32=-1/3+
  topics:[name:str partitions:[index:i32 current_leader_epoch:i32=-1/2+ leader_epoch:i32]]
< throttle_ms:i32/2+
  topics:[name:str partitions:[error:i16 index:i32 leader_epoch:i32/1+ end_offset:i64]]

32 DescribeConfigs 0-4 flexible 4
> resources:[type:i8 name:str keys:[str]=null] synonyms:bool/1+ documentation:bool/3+
< throttle_ms:i32
  results:[error:i16 error_message:str type:i8 name:str
    configs:[name:str value:str read_only:bool is_default:bool/0 source:i8/1+ sensitive:bool
      synonyms:[name:str value:str source:i8]/1+ type:i8/3+ documentation:str/3+]]

33 AlterConfigs 0-2 flexible 2
> resources:[type:i8 name:str configs:[name:str value:str]] validate_only:bool
< throttle_ms:i32 results:[error:i16 error_message:str type:i8 name:str]

37 CreatePartitions 0-3 flexible 2
> topics:[name:str count:i32 assignments:[brokers:[i32]]=null] timeout_ms:i32=30000
  validate_only:bool
< throttle_ms:i32 results:[name:str error:i16 error_message:str]

42 DeleteGroups 0-2 flexible 2
> groups:[str]
< throttle_ms:i32 results:[group:str error:i16]

44 IncrementalAlterConfigs 0-1 flexible 1
> resources:[type:i8 name:str configs:[name:str operation:i8=0 value:str=null]] validate_only:bool
< throttle_ms:i32 results:[error:i16 error_message:str type:i8 name:str]

17 SaslHandshake 0-1 flexible 99
> mechanism:str
< error:i16 mechanisms:[str]

36 SaslAuthenticate 0-2 flexible 2
> token:bytes
< error:i16 error_message:str token:bytes session_lifetime_ms:i64/1+

50 DescribeUserScramCredentials 0-0 flexible 0
> users:[name:str]=null
< throttle_ms:i32 error:i16 error_message:str
  results:[user:str error:i16 error_message:str credentials:[mechanism:i8 iterations:i32]]

51 AlterUserScramCredentials 0-0 flexible 0
> deletions:[name:str mechanism:i8]
  upsertions:[name:str mechanism:i8 iterations:i32 salt:bytes salted_password:bytes]
< throttle_ms:i32 results:[user:str error:i16 error_message:str]

60 DescribeCluster 0-2 flexible 0
> operations:bool endpoint_type:i8=1/1+ fenced:bool/2+
< throttle_ms:i32 error:i16 error_message:str endpoint_type:i8/1+ cluster_id:str controller_id:i32
  brokers:[id:i32 host:str port:i32 rack:str fenced:bool/2+] operations:i32
"""
